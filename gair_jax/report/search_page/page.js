'use strict';
(() => {
  const data = JSON.parse(document.getElementById('data').textContent);
  const { map, heats, near, photos, queries, hits } = data;
  const NO_DATA = 255;
  const at = (id) => document.getElementById(id);
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const ramp = bytes(data.ramp);
  const levels = heats.map((heat) => bytes(heat.levels));
  const nearest = near && {
    k: near.k,
    photo: new Uint32Array(bytes(near.photo).buffer),
    level: bytes(near.level),
  };
  let heat = -1, query = 0, cursor = null;

  function make(tag, className, text) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  }

  // Words for numbers.
  const value = (scale, level) => scale.low + (level / 254) * (scale.high - scale.low);
  const cosine = (x) => x.toFixed(3).replace('-', '\u2212');
  const metres = (m) => m < 1000 ? `${Math.round(m)} m` : `${(m / 1000).toFixed(m < 1e4 ? 2 : 0)} km`;
  const degrees = ([lon, lat]) => `lon ${lon.toFixed(5)}, lat ${lat.toFixed(5)}`.replaceAll('-', '\u2212');
  const pair = ([lon, lat]) => `${lon.toFixed(5)}, ${lat.toFixed(5)}`.replaceAll('-', '\u2212');
  const known = (lonlat) => lonlat !== null;

  function distance(a, b) {
    const [x0, y0, x1, y1] = [...a, ...b].map((v) => (v * Math.PI) / 180);
    const h = Math.sin((y1 - y0) / 2) ** 2 + Math.cos(y0) * Math.cos(y1) * Math.sin((x1 - x0) / 2) ** 2;
    return 2 * 6371008.8 * Math.asin(Math.sqrt(Math.min(1, h)));
  }

  // Places: x and y run from 0 to 1 over the map, from its upper left corner.
  function lonlat(x, y) {
    const n = map.lattice.n;
    const column = Math.min(n - 2, Math.floor(x * (n - 1))), row = Math.min(n - 2, Math.floor(y * (n - 1)));
    const u = x * (n - 1) - column, v = y * (n - 1) - row;
    const blend = (grid) => {
      const k = row * n + column;
      return (1 - v) * ((1 - u) * grid[k] + u * grid[k + 1]) + v * ((1 - u) * grid[k + n] + u * grid[k + n + 1]);
    };
    const lon = blend(map.lattice.lon);
    return [lon > 180 ? lon - 360 : lon < -180 ? lon + 360 : lon, blend(map.lattice.lat)];
  }

  function cellAt(x, y) {
    const column = Math.min(map.columns - 1, Math.floor(x * map.columns));
    return Math.min(map.rows - 1, Math.floor(y * map.rows)) * map.columns + column;
  }

  function putAt(element, x, y) {
    element.style.left = `${100 * x}%`;
    element.style.top = `${100 * y}%`;
  }

  // The heat map and its legend.
  function drawHeat(index) {
    heat = index;
    at('heat').hidden = at('controls').hidden = index < 0;
    if (index < 0) return;
    const context = at('heat').getContext('2d');
    const image = context.createImageData(map.columns, map.rows);
    levels[index].forEach((level, i) => {
      if (level === NO_DATA) return;
      const colour = Math.round((level / 254) * 255);
      image.data.set([ramp[3 * colour], ramp[3 * colour + 1], ramp[3 * colour + 2], 255], 4 * i);
    });
    context.putImageData(image, 0, 0);
    at('legend-name').textContent = heats[index].name;
    const ticks = [0, 63.5, 127, 190.5, 254].map((level) => make('span', '', cosine(value(heats[index], level))));
    at('ticks').replaceChildren(...ticks);
  }

  function drawRamp() {
    const context = at('ramp').firstElementChild.getContext('2d');
    const image = context.createImageData(256, 1);
    for (let i = 0; i < 256; i++) image.data.set([...ramp.subarray(3 * i, 3 * i + 3), 255], 4 * i);
    context.putImageData(image, 0, 0);
  }

  function setOpacity() {
    at('heat').style.opacity = at('opacity').value / 100;
    at('opacity-value').textContent = `${at('opacity').value} %`;
  }

  function read(x, y) {
    const level = heat < 0 ? NO_DATA : levels[heat][cellAt(x, y)];
    const similar = heat < 0 ? '' : level === NO_DATA ? ' \u00b7 no data' : ` \u00b7 similarity ${cosine(value(heats[heat], level))}`;
    at('readout').textContent = degrees(lonlat(x, y)) + similar;
    at('needle').hidden = level === NO_DATA;
    at('needle').style.left = `${(100 * level) / 254}%`;
  }

  // Lists.
  function thumbnail(index) {
    const photo = photos[index];
    if (!photo || !photo.thumbnail) return make('div', 'thumb', 'no picture');
    const image = make('img', 'thumb');
    image.src = photo.thumbnail;
    image.alt = '';
    return image;
  }

  function row(tag, lead, name, sub, score) {
    const line = make(tag, 'row'), what = make('span', 'what');
    what.append(make('span', 'name', name));
    sub.filter(Boolean).forEach((text) => what.append(make('span', 'sub', text)));
    const front = make('span', 'lead');
    front.append(...lead);
    line.append(front, what, make('span', 'score', cosine(score)));
    what.title = name;
    return line;
  }

  function choose(hit) {
    document.querySelectorAll('[data-hit]').forEach((element) => {
      const chosen = element.dataset.hit === String(hits.indexOf(hit));
      element.classList.toggle('chosen', chosen);
      element.setAttribute('aria-pressed', String(chosen));
    });
    if (hit.heat >= 0) drawHeat(hit.heat);
    showKnown(hit.own || queries[query].own);
  }

  function showKnown(xy) {
    document.querySelectorAll('.known').forEach((old) => old.remove());
    if (!xy) return;
    const ring = make('div', 'known');
    ring.title = 'known position of the photo';
    putAt(ring, ...xy);
    at('marks').append(ring);
  }

  function hitRow(hit) {
    const photo = photos[hit.photo], rank = make('span', 'rank', hit.rank);
    const asPlace = data.kind === 'places';
    const line = row(
      'button', asPlace ? [rank] : [rank, thumbnail(hit.photo)],
      asPlace ? pair(hit.lonlat) : photo.name,
      [
        !asPlace && known(hit.lonlat) && `taken at ${pair(hit.lonlat)}`,
        hit.best && `best at ${pair(hit.best)}${hit.bestScore === hit.score ? '' : ` (${cosine(hit.bestScore)})`}`,
        hit.metres !== null && `${metres(hit.metres)} from ${data.from}`,
      ],
      hit.score,
    );
    line.type = 'button';
    line.dataset.hit = hits.indexOf(hit);
    line.addEventListener('click', () => choose(hit));
    const item = make('li');
    item.append(line);
    return item;
  }

  function mark(hit) {
    const button = make('button', 'mark', hit.rank);
    button.type = 'button';
    button.dataset.hit = hits.indexOf(hit);
    button.setAttribute('aria-label', `${data.kind === 'places' ? 'place' : 'photo'} ${hit.rank}`);
    button.addEventListener('click', (event) => {
      event.stopPropagation();
      choose(hit);
    });
    putAt(button, ...hit.xy);
    return button;
  }

  function showQuery(index) {
    query = index;
    const own = hits.filter((hit) => hit.query === index), photo = photos[queries[index].photo];
    at('query-photo').hidden = !photo;
    if (photo) {
      const [image, caption] = at('query-photo').children;
      image.hidden = !queries[index].picture;
      image.src = queries[index].picture || 'data:,';
      caption.textContent = photo.name + (known(photo.lonlat) ? ` \u00b7 taken at ${degrees(photo.lonlat)}` : '');
    }
    [...at('query-list').children].forEach((b, i) => b.setAttribute('aria-pressed', String(i === index)));
    at('hits').replaceChildren(...own.map(hitRow));
    at('marks').replaceChildren(...own.filter((hit) => hit.xy).reverse().map(mark));
    if (queries[index].heat >= 0) drawHeat(queries[index].heat);
    if (own.length) choose(own[0]);
    else showKnown(queries[index].own);
  }

  function queryButton(entry, index) {
    const button = make('button');
    button.type = 'button';
    button.setAttribute('aria-label', photos[entry.photo].name);
    button.title = photos[entry.photo].name;
    button.append(thumbnail(entry.photo));
    button.addEventListener('click', () => showQuery(index));
    return button;
  }

  function nearRow(cell, i, place) {
    const index = nearest.photo[cell * nearest.k + i], photo = photos[index];
    const far = known(photo.lonlat) && `taken ${metres(distance(place, photo.lonlat))} from the point`;
    const score = value(near, nearest.level[cell * nearest.k + i]);
    const item = make('li');
    item.append(row('div', [thumbnail(index)], photo.name, [far], score));
    return item;
  }

  function showNear(x, y) {
    if (!nearest) return;
    const cell = cellAt(x, y), place = lonlat(x, y), rows = [];
    for (let i = 0; i < nearest.k; i++) {
      if (nearest.level[cell * nearest.k + i] !== NO_DATA) rows.push(nearRow(cell, i, place));
    }
    at('near').hidden = false;
    at('near-where').textContent = rows.length ? degrees(place) : `${degrees(place)}: the tile has no data here.`;
    at('near-list').replaceChildren(...rows);
  }

  // Pointer and keys.
  function point(x, y) {
    cursor = [x, y];
    at('cross').hidden = false;
    putAt(at('cross'), x, y);
    read(x, y);
    showNear(x, y);
  }

  function position(event) {
    const box = at('map').getBoundingClientRect();
    const inside = (v) => Math.min(1, Math.max(0, v));
    return [inside((event.clientX - box.left) / box.width), inside((event.clientY - box.top) / box.height)];
  }

  function onKey(event) {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.target !== at('map') || !step) return;
    event.preventDefault();
    const by = event.shiftKey ? 8 : 1, [x, y] = cursor || [0.5, 0.5];
    const move = (v, d, n) => {
      const cell = Math.min(n - 1, Math.floor(v * n)) + d * by;
      return (Math.min(n - 1, Math.max(0, cell)) + 0.5) / n;
    };
    point(move(x, step[0], map.columns), move(y, step[1], map.rows));
  }

  // The map's furniture.
  function drawScale() {
    const most = 0.3 * map.ground[0], unit = 10 ** Math.floor(Math.log10(most));
    const length = [5, 2, 1].find((n) => n * unit <= most) * unit;
    at('scale').hidden = false;
    at('scale').style.width = `${(100 * length) / map.ground[0]}%`;
    at('scale').firstElementChild.textContent = length < 1 ? `${length.toPrecision(1)} m` : length < 1000 ? `${length} m` : `${length / 1000} km`;
  }

  function drawGraticule() {
    const { lon, lat, n } = map.lattice, last = n * n - 1;
    const lines = (low, high, place) => {
      const unit = 10 ** Math.floor(Math.log10((high - low) / 2));
      const step = [5, 2, 1].map((k) => k * unit).find((s) => (high - low) / s >= 2) || unit;
      const digits = Math.max(0, -Math.floor(Math.log10(step)));
      for (let v = Math.ceil(low / step) * step; v < high; v += step) place(v, `${v.toFixed(digits)}\u00b0`);
    };
    const line = (side, share, text, border) => {
      const rule = make('i'), label = make('span', '', text);
      [rule, label].forEach((element) => { element.style[side] = `${100 * share}%`; });
      Object.assign(rule.style, border);
      label.style[side === 'left' ? 'bottom' : 'left'] = '2px';
      at('graticule').append(rule, label);
    };
    at('graticule').hidden = false;
    lines(lon[0], lon[last], (v, text) => line('left', (v - lon[0]) / (lon[last] - lon[0]), text, { top: 0, bottom: 0, borderLeftWidth: '1px' }));
    lines(lat[last], lat[0], (v, text) => line('top', (lat[0] - v) / (lat[0] - lat[last]), text, { left: 0, right: 0, borderTopWidth: '1px' }));
  }

  function drawMap() {
    const [width, height] = map.ground, ratio = width / height;
    at('map').style.aspectRatio = String(ratio);
    document.querySelector('main').style.setProperty('--ratio', ratio);
    at('map').setAttribute('aria-label', map.name);
    at('north').style.transform = `rotate(${map.north}deg)`;
    at('north').setAttribute('aria-label', 'north is up');
    at('north').hidden = !map.picture;
    if (!map.picture) return drawGraticule();
    at('picture').src = map.picture;
    at('picture').hidden = false;
    drawScale();
  }

  function start() {
    at('heat').width = map.columns;
    at('heat').height = map.rows;
    drawMap();
    drawRamp();
    at('opacity').value = 55;
    at('opacity').addEventListener('input', setOpacity);
    setOpacity();
    at('map').addEventListener('pointermove', (event) => read(...position(event)));
    at('map').addEventListener('pointerleave', () => cursor && read(...cursor));
    if (nearest) at('map').addEventListener('click', (event) => point(...position(event)));
    at('map').addEventListener('keydown', onKey);
    at('map').classList.toggle('still', !nearest);
    at('map-help').textContent = data.help;
    at('hits-title').textContent = data.hitsTitle;
    at('queries').hidden = !queries.some((entry) => entry.photo >= 0);
    at('queries-title').textContent = queries.length > 1 ? `The ${queries.length} photos` : 'The photo';
    if (queries.length > 1) at('query-list').append(...queries.map(queryButton));
    showQuery(0);
    if (nearest && data.kind === 'photos' && hits.length && hits[0].xy) point(...hits[0].xy);
  }

  start();
})();
