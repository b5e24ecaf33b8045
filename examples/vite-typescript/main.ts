// A prompt's next tokens, as the model gives them, and with one of its attention heads set to zero.
import { type HookEntry, Model, topTokens, zeroAblate } from 'hyaline';

const withoutHead: HookEntry[] = [['blocks.2.attn.hook_z', zeroAblate({ head: 0 })]];

const output = (name: 'before' | 'after') => document.querySelector(`output[name=${name}]`) as HTMLOutputElement;

const model = await Model.load('circuit-zoo/', {
  onProgress: ({ phase, loaded, total }) => {
    output('before').value = `${phase}: ${Math.round((100 * loaded) / total)} %`;
  },
});

async function nextTokens(prompt: string, hooks: readonly HookEntry[]): Promise<string> {
  const { logits } = await model.run(prompt, { hooks, logits: 'last' });
  const top = topTokens(model, logits, 3);
  return top.map(({ text, probability }) => `${JSON.stringify(text)} ${probability.toFixed(4)}`).join(', ');
}

async function show(form: HTMLFormElement): Promise<void> {
  const prompt = String(new FormData(form).get('prompt'));
  output('before').value = await nextTokens(prompt, []);
  output('after').value = await nextTokens(prompt, withoutHead);
}

const [form] = document.forms;
form.addEventListener('submit', (event) => {
  event.preventDefault();
  show(form);
});
await show(form);
