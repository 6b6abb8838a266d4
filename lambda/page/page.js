'use strict';
(() => {
  const create = (name, text) => {
    const e = document.createElement(name);
    e.textContent = text;
    return e;
  };
  for (const block of document.querySelectorAll('.way pre')) {
    if (!navigator.clipboard) {
      break;
    }
    const button = create('button', 'Copy');
    button.type = 'button';
    button.setAttribute('aria-label', 'Copy the example for ' + block.parentNode.querySelector('h3').textContent);
    button.addEventListener('click', async () => {
      try {
        await navigator.clipboard.writeText(block.textContent);
        button.textContent = 'Copied';
      } catch (e) {
        button.textContent = 'Failed';
      }
      setTimeout(() => { button.textContent = 'Copy'; }, 2000);
    });
    block.parentNode.append(button);
  }

  const map = document.querySelector('.world svg');
  const shape = (name, attributes) => {
    const e = document.createElementNS('http://www.w3.org/2000/svg', name);
    for (const key in attributes) {
      e.setAttribute(key, attributes[key]);
    }
    map.append(e);
    return e;
  };
  const source = (name) => name === 'default' ? 'the default mirror' : name === 'upstream' ? 'the upstream registry' : 'the mirror in ' + name;

  const show = (where) => {
    const list = document.createElement('dl');
    const row = (term, ...values) => {
      list.append(create('dt', term));
      const description = document.createElement('dd');
      description.append(...values);
      list.append(description);
    };
    const km = where.distance_km[0];
    row('Your place', where.cloud ? where.cloud + ' ' + where.region : 'outside of the known clouds');
    row('Blobs come from', source(where.candidates[0]) + (km === null ? '' : km === 0 ? ', in your region' : ', ' + km + ' km away'));
    if (where.candidates.length > 1) {
      row('If it has none', where.candidates.slice(1).map(source).join(', then '));
    }
    row('Reason', create('code', where.reason));
    const link = create('a', 'All details');
    link.href = '/where';
    row('As JSON', link);
    document.getElementById('you').replaceChildren(list);

    if (!map || !where.position) {
      return;
    }
    const scale = map.viewBox.baseVal.width / 360;
    const x = (where.position.longitude + 180) * scale;
    const y = (map.dataset.north - where.position.latitude) * scale;
    const mirror = map.querySelector('[data-mirror="' + CSS.escape(where.candidates[0]) + '"] .mirror');
    if (mirror) {
      const to = [mirror.cx.baseVal.value, mirror.cy.baseVal.value];
      const bend = Math.hypot(to[0] - x, to[1] - y) / 6;
      shape('path', { class: 'route', d: 'M' + [x, y, 'Q', (x + to[0]) / 2, (y + to[1]) / 2 - bend, ...to].join(' ') });
    }
    const mark = shape('circle', { class: 'you', id: 'mark', cx: x, cy: y, r: 7 });
    mark.dataset.mirror = where.candidates[0];
    document.getElementById('key-you').hidden = false;
  };

  fetch('/where', { headers: { Accept: 'application/json' }, cache: 'no-store', credentials: 'omit' })
    .then((response) => response.ok ? response.json() : Promise.reject(new Error(response.status)))
    .then(show)
    .catch(() => {}); // the link to /where stays
})();
