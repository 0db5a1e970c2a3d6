// The public methods, getters and setters of the package's objects, as they are: those that its types declare and do not call internal.
import { readdirSync, readFileSync } from 'node:fs';
import { internal } from './calls.mjs';

const api = internal('index');

/** Public members, as the package's types declare them: `Class.member`, since one class's is another's internal one. */
const declared = new Set();
for (const file of readdirSync(new URL('../../dist/', import.meta.url), { recursive: true })) {
  if (!file.endsWith('.d.ts')) continue;
  let isInternal = false;
  let owner = '';
  for (const line of readFileSync(new URL(`../../dist/${file}`, import.meta.url), 'utf8').split('\n')) {
    // A comment says of what comes right after it that it is internal.
    if (/^\s*\/\*\*/.test(line)) isInternal = false;
    if (line.includes('@internal')) isInternal = true;
    owner = /^(?:export )?declare (?:abstract )?class (\w+)/.exec(line)?.[1] ?? owner;
    const name = /^ {4}(?:get |set |abstract )*(\w+)[(<]/.exec(line)?.[1];
    if (name !== undefined && !isInternal) declared.add(`${owner}.${name}`);
    if (name !== undefined) isInternal = false;
  }
}
const isDeclared = (owner, name) => name !== 'constructor' && declared.has(`${owner}.${name}`);

const members = new WeakMap();
/** Methods, getters and setters of an object of the package. */
export function membersOf(object) {
  let prototype;
  try {
    prototype = Object.getPrototypeOf(object);
  } catch {
    return [];
  }
  if (prototype === null || prototype === Object.prototype || prototype === Array.prototype) return [];
  if (!members.has(prototype)) members.set(prototype, collectMembers(prototype));
  return members.get(prototype);
}

function collectMembers(prototype) {
  const found = [];
  for (let level = prototype; level !== null && level !== Object.prototype; level = Object.getPrototypeOf(level)) {
    // Of the package's own classes alone.
    if (!Object.values(api).includes(level.constructor) && level === prototype) return [];
    for (const [name, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(level)))
      if (isDeclared(level.constructor.name, name)) found.push({ name, ...descriptor });
  }
  return found;
}
