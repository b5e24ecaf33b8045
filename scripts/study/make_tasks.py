"""Makes tasks.json: prompts of models/circuit-zoo's held-out tasks with their answers, an even sample of those on which its
evaluation.json was measured (recipe/evaluate.py: its generators, seeds and order), and its blocks of random tokens.
Needs numpy and torch, as the recipe does (made with 2.4 and 2.13). Usage: python3 make_tasks.py"""

import json
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
MODEL = FOLDER.parents[1] / 'models/circuit-zoo'
sys.path.insert(0, str(MODEL / 'recipe'))
sys.dont_write_bytecode = True  # the recipe's folder stays as it is

import torch  # noqa: E402
from corpus import COLORS, CRUEL_FIRST, KIND_FIRST, Corpus  # noqa: E402
from evaluate import gather, one  # noqa: E402
from tokenizer import Tokenizer  # noqa: E402

PROMPTS = 40  # of each task
BLOCKS = 16
HOW = (
    "scripts/study/make_tasks.py, with models/circuit-zoo/recipe: even samples of evaluate.py's prompts, which "
    "Corpus(4242, 'test') draws and, for recall, Corpus(77); the first of its blocks of random tokens, of seed 3; "
    "the longest of 300 stories"
)
PUBLISHED = json.loads((MODEL / 'evaluation.json').read_text())
YEARS = [f'{year:02d}' for year in range(100)]


def sample(items):
    return [items[i * len(items) // PROMPTS] for i in range(PROMPTS)]


def cues(docs):
    return [cue for doc in docs for cue in doc['cues']]


def answered(cues):
    """From (prompt, answer, wrong alternatives, …)."""
    return [dict(prompt=prompt, right=[answer], wrong=wrong) for prompt, answer, wrong, *_ in sample(cues)]


def among(words, pairs):
    """From (prompt, which of the words are right); the others are wrong. In the file words have numbers."""
    return [dict(prompt=prompt, right=[words.index(word) for word in right]) for prompt, right in sample(pairs)]


def task(name, score, prompts, published, n, **rest):
    """`published`: the mean score of all n prompts of which these are a sample."""
    return dict(name=name, score=score, published=round(published, 4), n=n, **rest, prompts=prompts)


def preferred(name, docs, of):
    return task(name, 'preferred', answered(cues(docs)), of['beats_alternatives'], of['n'])


def first(name, cues, of):
    return task(name, 'first', answered([(prompt, answer, []) for prompt, answer, *_ in cues]), of['top1'], of['n'])


def tasks():
    corpus = Corpus(4242, 'test')  # one for all tasks, asked in the order of evaluate.py
    ioi = gather(corpus, 'ioi', 600)
    for order in ('ABBA', 'BABA'):
        docs = [doc for doc in ioi if doc['order'] == order]
        yield preferred(f'indirect object, {order}', docs, PUBLISHED['ioi'][order])
    facts = cues(gather(corpus, 'facts', 500))
    for number, kind in ((1, 'capital'), (2, 'currency'), (3, 'language')):
        of_kind = [cue for cue in facts if cue[2] == number]
        yield first(f'facts, {kind}', of_kind, PUBLISHED['facts']['heldout_phrasings'][kind])
    yield first('recall', cues(gather(Corpus(77), 'pairs', 150)), PUBLISHED['recall_pairs'])

    after = [(prompt, YEARS[year + 1 :]) for prompt, _, year in cues(gather(corpus, 'greater', 500))]
    of = PUBLISHED['greater_than']
    yield task('greater-than', 'probability', among(YEARS, after), of['mass_above'], of['n'], words=YEARS)

    yield preferred('pronouns', gather(corpus, 'pronoun', 400), PUBLISHED['pronouns'])
    yield preferred('agreement', gather(corpus, 'agree', 400), PUBLISHED['agreement'])
    closers = answered(cues(gather(corpus, 'brackets', 150)))
    of = PUBLISHED['brackets']
    yield task('closing bracket', 'preferred', closers, of['right_kind_of_closer'], of['n'])
    yield preferred('docstring', gather(corpus, 'docstring', 200), PUBLISHED['docstring'])
    yield first('acronym', cues(gather(corpus, 'acronym', 200)), PUBLISHED['acronym'])
    yield preferred("story's owner", gather(corpus, 'story', 300), PUBLISHED['story_final_owner'])

    personas, words = gather(corpus, 'persona', 400), KIND_FIRST + CRUEL_FIRST
    for two, name in ((False, 'one'), (True, 'both')):
        docs = [doc for doc in personas if doc['two'] == two]
        fitting = [(doc['cues'][0][0], KIND_FIRST if doc['label'] else CRUEL_FIRST) for doc in docs]
        of = PUBLISHED['persona'][f'{name}_character{"s" * two}_described']
        yield task(f'persona, {name} described', 'likelier', among(words, fitting), of, len(docs), words=words)

    speakers, words = gather(corpus, 'liar', 400), [' ' + color for color in COLORS]
    of = PUBLISHED['truthful_or_liar']
    for truthful, name in ((True, 'truthful'), (False, 'liar')):
        docs = [doc for doc in speakers if doc['label'] == truthful]
        fitting = [
            (prompt, [word for word in words if (word == ' ' + color) == truthful]) for prompt, _, color in cues(docs)
        ]
        of_true = of[f'p_true_color_if_{name}']
        yield task(name, 'share', among(words, fitting), of_true if truthful else 1 - of_true, len(docs), words=words)


def check_words(made, tokenizer):
    """Every answer is one token."""
    for prompt in made['prompts']:
        for word in made['words'] if 'words' in made else prompt['right'] + prompt['wrong']:
            one(tokenizer, word)


def blocks(length=50, vocabulary=2048):
    """Those of evaluate.py's `heads`."""
    generator = torch.Generator().manual_seed(3)
    return [(torch.randperm(vocabulary - 1, generator=generator)[:length] + 1).tolist() for _ in range(BLOCKS)]


def write(path, how, story, tasks, blocks):
    """JSON with a line for each prompt and each block."""
    lines = [f'"how": {json.dumps(how)},', f'"story": {json.dumps(story)},', '"tasks": [']
    for made in tasks:
        head = json.dumps({key: value for key, value in made.items() if key != 'prompts'})
        prompts = ',\n'.join('  ' + json.dumps(prompt) for prompt in made['prompts'])
        lines.append(f' {head[:-1]}, "prompts": [\n{prompts}\n ]}}' + ('' if made is tasks[-1] else ','))
    rows = ',\n'.join(' ' + json.dumps(block, separators=(',', ':')) for block in blocks)
    path.write_text('{\n' + '\n'.join([*lines, '],', '"blocks": [', rows, ']']) + '\n}\n')


def main():
    tokenizer = Tokenizer(MODEL / 'tokenizer.json')
    made = list(tasks())
    for each in made:
        check_words(each, tokenizer)
    stories = [doc['text'] for doc in gather(Corpus(4242, 'test'), 'story', 300)]
    longest = max(stories, key=lambda text: len(tokenizer.encode(text)))
    write(FOLDER / 'tasks.json', HOW, longest, made, blocks())


if __name__ == '__main__':
    main()
