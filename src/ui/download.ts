// Files of the page's own making, for the user to keep.

/** Saves a file as the browser saves downloads. */
export function download(name: string, blob: Blob): void {
  const link = Object.assign(document.createElement('a'), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // a large file is read after the click
}
