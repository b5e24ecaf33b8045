// The files of a drop, those in dropped folders too, with their paths, as a folder picker gives them.

/** Files that a model's folder may hold; what lies deeper is none of its. */
const DEEPEST = 3;

/**
 * Must be called while the drop is handled: afterwards the browser forgets its items.
 * @example
 * addEventListener('drop', async ({ dataTransfer }) => Model.load(await droppedFiles(dataTransfer)));
 */
export async function droppedFiles(transfer: DataTransfer): Promise<File[]> {
  const entries = Array.from(transfer.items, (item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  if (entries.length === 0) return Array.from(transfer.files);
  return (await Promise.all(entries.map((entry) => filesOf(entry, 1)))).flat();
}

async function filesOf(entry: FileSystemEntry, depth: number): Promise<File[]> {
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    // A picker sets this path; a drop does not.
    const path = depth > 1 ? entry.fullPath.replace(/^\//, '') : '';
    return [Object.defineProperty(file, 'webkitRelativePath', { value: path })];
  }
  if (depth > DEEPEST) return [];
  const inside = await entriesOf((entry as FileSystemDirectoryEntry).createReader());
  return (await Promise.all(inside.map((child) => filesOf(child, depth + 1)))).flat();
}

/** A reader gives some entries at a time, and none when it is done. */
async function entriesOf(reader: FileSystemDirectoryReader): Promise<FileSystemEntry[]> {
  const all: FileSystemEntry[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return all;
    all.push(...some);
  }
}
