// One measurement in a process of its own: node scripts/reliability/measure.mjs NAME MINUTES
const [, , name, minutes] = process.argv;
const { measure } = await import(`./${name}.mjs`);
console.log(JSON.stringify(await measure(Number(minutes))));
process.exit(0);
