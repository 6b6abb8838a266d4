/*IMPORT*/
const mirrors = /*MIRRORS*/;
const redirectors = /*REDIRECTORS*/;
// For each country: its mirror and the one to fail over to, its redirector and the
// one to fail over to, each as a position above.
const places = /*PLACES*/;
// The redirectors' coordinates on the unit sphere.
const points = /*POINTS*/;
const code = '/*CODE*/';
const refusal = /*REFUSAL*/;
const unknown = /*UNKNOWN*/;
const blob = /*BLOB*/;

function handler(event) {
  const request = event.request;
  const headers = request.headers;
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return refuse(request.method);
  }
  request.uri = request.uri.replace(/%3a/gi, ':');
  if (!known(request.uri)) {
    return unknown;
  }
/*QUERY*/
  // The redirector trusts these headers, so values from the viewer must not pass.
  delete headers['x-viewer-authorized'];
  delete headers['x-viewer-host'];
  if (headers.authorization) {
    headers['x-viewer-authorized'] = { value: '1' };
  }
  if (headers.host) {
    headers['x-viewer-host'] = { value: headers.host.value.toLowerCase().replace(/\.?(:443)?$/, '') };
  }
  try {
    choose(request.uri, headers);
  } catch (e) {
    // The origin of the cache behavior serves the request.
  }
  return request;
}

// An object has one spelling, so that one invalidation removes it from the caches.
function known(uri) {
  if (/[^!-~]|[%\\]|\/\/|\/\.\.?(\/|$)/.test(uri)) {
    return false;
  }
  return uri.indexOf(/*BLOBS*/) !== 0 || blob.test(uri);
}

function choose(uri, headers) {
  if (uri.indexOf(/*BLOBS*/) === 0) {
    const near = country(headers, 0);
    origins(mirrors, near[0], near[1], [403, 404, 429, 500, 502, 503, 504]);
  } else {
    const near = position(headers) || country(headers, 2);
    origins(redirectors, near[0], near[1], /*CODES*/);
  }
}

function origins(ids, first, second, codes) {
  if (ids.length > 1 && ids[first] && ids[second]) {
    cf.createRequestOriginGroup({
      originIds: [{ originId: ids[first] }, { originId: ids[second] }],
      failoverCriteria: { statusCodes: codes },
    });
  }
}

function country(headers, at) {
  const row = places[headers['cloudfront-viewer-country'].value];
  return [code.indexOf(row[at]), code.indexOf(row[at + 1])];
}

// The two redirectors nearest to the viewer, if its coordinates are known.
function position(headers) {
  const latitude = headers['cloudfront-viewer-latitude'];
  const longitude = headers['cloudfront-viewer-longitude'];
  if (!latitude || !longitude || points.length < 2) {
    return null;
  }
  const lat = radians(latitude.value, 90);
  const lon = radians(longitude.value, 180);
  const x = Math.cos(lat) * Math.cos(lon);
  const y = Math.cos(lat) * Math.sin(lon);
  const z = Math.sin(lat);
  const near = points.map((p, i) => [x * p[0] + y * p[1] + z * p[2], i]).sort((a, b) => b[0] - a[0] || a[1] - b[1]);
  return near[0][0] === near[0][0] ? [near[0][1], near[1][1]] : null;
}

// NaN if the text is missing, not a number or out of range.
function radians(text, most) {
  const degrees = /^-?[0-9.]+$/.test(text) ? Number(text) : NaN;
  return Math.abs(degrees) <= most ? degrees * Math.PI / 180 : NaN;
}

// Truncates and escapes the method as the redirector does.
function refuse(method) {
  const name = method.length > 128 ? method.slice(0, 128) + '...' : method;
  const text = JSON.stringify(name).replace(/[<>&]/g, (c) => '\\u00' + c.charCodeAt(0).toString(16));
  return Object.assign({}, refusal, { body: refusal.body.replace('"METHOD"', () => text) });
}
