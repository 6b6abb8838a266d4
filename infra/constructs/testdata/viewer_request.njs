'use strict';
// Runs the code of a viewer-request function as viewer_request.js does, in njs: the
// engine is close to that of CloudFront Functions, and smaller than Node.js.
// CODE, EVENTS and OUT are replaced before it is run.
let calls;
let broken;
const cf = {};
['createRequestOriginGroup', 'selectRequestOriginById', 'updateRequestOrigin'].forEach((name) => {
  cf[name] = (argument) => {
    calls.push({ name, argument });
    if (broken) {
      throw new Error('the stand-in is broken');
    }
  };
});
/*CODE*/
const outcomes = /*EVENTS*/.map((event) => {
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
require('fs').writeFileSync(/*OUT*/, JSON.stringify(outcomes));
