'use strict';
// Runs the code of a viewer-request function: reads
// {"code", "events": [{"request", "broken"}]} and prints what the function
// returned and called for each event. If an event is broken, every call throws.
// The function has no access to Node.js.
const vm = require('node:vm');

const input = JSON.parse(require('node:fs').readFileSync(0, 'utf8'));
const cf = {};
let calls;
let broken;
for (const name of ['createRequestOriginGroup', 'selectRequestOriginById', 'updateRequestOrigin']) {
  cf[name] = (argument) => {
    calls.push({ name, argument });
    if (broken) {
      throw new Error('the stand-in is broken');
    }
  };
}
const code = input.code.replace(/^import cf from 'cloudfront';$/m, 'const cf = standIn;');
const handler = vm.runInNewContext(`'use strict';\n${code}\nhandler;`, { standIn: cf });

const outcomes = input.events.map((event) => {
  calls = [];
  broken = event.broken;
  const outcome = { calls };
  try {
    outcome.returned = handler({
      version: '1.0',
      context: { eventType: 'viewer-request' },
      viewer: { ip: '192.0.2.1' },
      request: event.request,
    });
  } catch (e) {
    outcome.thrown = String(e);
  }
  return outcome;
});
process.stdout.write(JSON.stringify(outcomes));
