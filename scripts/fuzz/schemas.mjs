// What options a function has, and which values they take, learnt from its own refusals: "unknown option … Known options: …" names them, and whatever is accepted is good.
// So a new layer, and a new option of an old one, is part of the next run.
import { EvenkeelError } from './calls.mjs';
import { Random } from './random.mjs';

/** Words that a refusal offers: `expected one of "a", "b"`, and those in quotes of any other. */
const offeredWords = (message) => [...message.matchAll(/"([^"]{1,40})"/g)].map(([, word]) => word);
const ATTEMPTS = 2000;

/** The names of the options that a call knows, asked with one that it cannot know; undefined where it has none. */
export function optionNames(call) {
  try {
    ignored(call({ noSuchOption: 1 }));
  } catch (error) {
    const known = /Known options: ([^\n]*)\.$/.exec(error?.message ?? '')?.[1];
    return known?.split(', ').map((name) => name.trim());
  }
  return undefined;
}

/**
 * Good values for each option of a call.
 * @param call takes an options object, and throws what it refuses
 * @param valuesOf makes a value for an option; it is given words that refusals offered
 * @returns sets of options that were accepted; empty where none was found
 */
export function learnOptions(call, names, valuesOf, random = new Random(7)) {
  const words = new Set();
  const accepted = [];
  // Undefined is the way back to what an option is where it is left out.
  const value = (name) =>
    random.chance(0.25) ? undefined : words.size > 0 && random.chance(0.4) ? random.pick([...words]) : valuesOf(name, random);
  let options = {};
  for (let attempt = 0; attempt < ATTEMPTS && accepted.length < 60; attempt++) {
    const refusal = refusalOf(() => call(options));
    if (refusal === undefined) {
      accepted.push(options);
      // From what was accepted, one step on.
      const name = random.pick(names);
      options = { ...random.pick(accepted), [name]: value(name) };
      continue;
    }
    for (const word of offeredWords(refusal)) words.add(word);
    // A refusal begins with the option that it is about.
    const named = names.filter((name) => refusal.startsWith(name));
    const name = named.length > 0 && random.chance(0.9) ? random.pick(named) : random.pick(names);
    options = { ...(accepted.length > 0 && random.chance(0.5) ? random.pick(accepted) : options), [name]: value(name) };
  }
  return accepted;
}

/** What comes of a promise is seen when the call is made in earnest. */
function ignored(result) {
  if (result instanceof Promise) result.catch(() => {});
}

function refusalOf(call) {
  try {
    ignored(call());
    return undefined;
  } catch (error) {
    // What is not typed is found when it is called in earnest.
    return error instanceof EvenkeelError ? error.message : '';
  }
}
