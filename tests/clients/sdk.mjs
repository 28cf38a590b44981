// Makes calls of the official SDK for the tests: one JSON line in, one JSON line out, until the input ends.
// {"call": "scenarios.get", "args": [925]} is make.scenarios.get(925); undefined comes back as null.
import { createInterface } from 'node:readline';
import { Make } from '@makehq/sdk';

const make = new Make(process.env.MAKE_API_KEY, process.env.MAKE_ZONE);

for await (const line of createInterface({ input: process.stdin })) {
  const { call, args } = JSON.parse(line);
  const names = call.split('.');
  const method = names.pop();
  const holder = names.reduce((found, name) => found[name], make);
  let told;
  try {
    told = { answer: (await holder[method](...args)) ?? null };
  } catch (error) {
    told = { error: { name: error.name, message: error.message, statusCode: error.statusCode ?? null } };
  }
  process.stdout.write(`${JSON.stringify(told)}\n`);
}
