// A component that runs what is typed and hands model and run to an element. Elements are tags: React sets their properties.
import { Model, type RunWithCacheResult, topTokens } from 'hyaline';
import 'hyaline/elements';
import { useEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';

/** The run of a prompt; its values leave the GPU with the prompt or the component. */
function useRun(model: Model, prompt: string): RunWithCacheResult | null {
  const [run, setRun] = useState<RunWithCacheResult | null>(null);
  useEffect(() => {
    let isCurrent = true;
    const running = model.runWithCache(prompt, { names: 'blocks.*.hook_resid_post' });
    running.then((made) => isCurrent && setRun(made));
    return () => {
      isCurrent = false;
      running.then(({ cache }) => cache.destroy());
    };
  }, [model, prompt]);
  return run;
}

function Lens({ model }: { model: Model }) {
  const [prompt, setPrompt] = useState('When Mary and John went to the store, John gave a drink to');
  const run = useRun(model, prompt);
  return (
    <>
      <input aria-label="Prompt" size={60} value={prompt} onChange={(event) => setPrompt(event.target.value)} />
      {run &&
        topTokens(model, run.logits, 3).map(({ id, text, probability }) => (
          <p key={id}>
            {JSON.stringify(text)} {probability.toFixed(4)}
          </p>
        ))}
      {run && <hyaline-logit-lens model={model} run={run} />}
    </>
  );
}

const model = await Model.load('circuit-zoo/');
createRoot(document.querySelector('main') as HTMLElement).render(<Lens model={model} />);
