(() => {
  'use strict';
  const data = JSON.parse(document.getElementById('data').textContent);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const one = (selector, root = document) => root.querySelector(selector);

  // each face is in the file once; the small copies borrow it
  const face = (id) => { const img = document.getElementById('f' + id); return img ? img.src : ''; };
  all('img[data-face]').forEach((img) => { img.src = face(img.dataset.face); });

  // hover and keyboard: what a bar says
  const tip = one('#tip'), picture = one('img', tip), who = one('strong', tip), tc = one('.tc', tip), more = one('.small', tip);
  let selected = null;
  const label = (person) => { const card = document.getElementById('p' + person); return (card && card.dataset.name) || 'Person ' + person; };
  function tell(bar) {
    const a = data.appearances[+bar.dataset.a];
    who.textContent = label(a.p);
    tc.textContent = a.i + ' – ' + a.o;
    more.textContent = a.d + ' · ' + a.n + (a.n === 1 ? ' face' : ' faces') + ' · confidence ' + Math.round(a.c * 100) + '\u00a0%';
    picture.hidden = a.f === null && a.m === undefined;
    if (!picture.hidden) picture.src = a.m === undefined ? face(a.f) : 'data:image/jpeg;base64,' + data.moments[a.m];
    tip.hidden = false;
    const box = bar.getBoundingClientRect(), size = tip.getBoundingClientRect();
    const left = Math.min(Math.max(8, box.left + box.width / 2 - size.width / 2), innerWidth - size.width - 8);
    tip.style.left = left + 'px';
    tip.style.top = (box.top - size.height - 10 > 8 ? box.top - size.height - 10 : box.bottom + 10) + 'px';
  }
  function hush() { tip.hidden = true; if (selected) { selected.classList.remove('sel'); selected = null; } }
  function select(bar) { hush(); selected = bar; bar.classList.add('sel'); bar.scrollIntoView({ block: 'nearest', inline: 'nearest' }); tell(bar); }

  // playing
  const player = one('#player'), video = one('video', player), pick = one('#pick'), playing = one('#playing');
  let loaded = -1, wanted = 0;
  function seek() { try { video.currentTime = wanted; } catch (e) { /* not ready yet: loadedmetadata seeks again */ } }
  function play(bar) {
    const a = data.appearances[+bar.dataset.a], source = data.sources[a.s];
    player.hidden = false;
    playing.textContent = label(a.p) + ', ' + a.i;
    wanted = a.t;
    if (loaded !== a.s) { loaded = a.s; pick.hidden = !!source.video; video.hidden = !source.video; if (source.video) video.src = source.video; else video.removeAttribute('src'); } else seek();
    if (source.video) video.play().catch(() => {});
  }
  video.addEventListener('loadedmetadata', seek);
  video.addEventListener('error', () => { if (loaded >= 0) { pick.hidden = false; video.hidden = true; } });
  one('input', pick).addEventListener('change', (e) => {
    if (!e.target.files.length) return;
    video.src = URL.createObjectURL(e.target.files[0]); video.hidden = false; pick.hidden = true; video.play().catch(() => {});
  });
  one('#close').addEventListener('click', () => { video.pause(); player.hidden = true; });

  all('.bars').forEach((lane) => {
    for (const kind of ['pointerover', 'pointermove']) lane.addEventListener(kind, (e) => { if (e.target.dataset.a && (tip.hidden || kind === 'pointerover')) tell(e.target); });
    lane.addEventListener('pointerout', () => { if (!selected) tip.hidden = true; });
    lane.addEventListener('click', (e) => { if (e.target.dataset.a) play(e.target); });
    lane.addEventListener('blur', hush);
    lane.addEventListener('keydown', (e) => {
      const bars = all('rect', lane); if (!bars.length) return;
      const at = bars.indexOf(selected), step = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: bars.length - 1 }[e.key];
      if (step !== undefined) { e.preventDefault(); select(bars[Math.min(Math.max(step, 0), bars.length - 1)]); }
      else if ((e.key === 'Enter' || e.key === ' ') && selected) { e.preventDefault(); play(selected); }
    });
  });
  document.addEventListener('keydown', (e) => {
    if (e.key === 'Escape') { hush(); video.pause(); player.hidden = true; }
    const box = one('#find');
    if (e.key === '/' && box && e.target.tagName !== 'INPUT') { e.preventDefault(); box.focus(); }
  });
  addEventListener('scroll', () => { if (!selected) tip.hidden = true; }, { passive: true });

  // a card and its rows belong together
  all('.person').forEach((card) => {
    const mark = (on) => all('.row[data-person="' + card.dataset.person + '"]').forEach((row) => row.classList.toggle('on', on));
    card.addEventListener('pointerenter', () => mark(true));
    card.addEventListener('pointerleave', () => mark(false));
  });

  let zoom = 1;
  all('[data-zoom]').forEach((button) => button.addEventListener('click', () => {
    zoom = Math.min(32, Math.max(1, zoom * Number(button.dataset.zoom)));
    all('.lanes').forEach((lanes) => { lanes.style.width = zoom * 100 + '%'; });
  }));

  const find = one('#find');
  if (find) find.addEventListener('input', () => {
    const word = find.value.trim().toLowerCase();
    all('.person, .row[data-person]').forEach((el) => el.classList.toggle('off', !!word && !label(el.dataset.person).toLowerCase().includes(word)));
  });

  // names written here are saved as names.csv (person,name): a page opened from disk cannot change a library
  const save = one('#names');
  const changed = () => all('input.name').filter((input) => input.value.trim() !== input.defaultValue);
  all('input.name').forEach((input) => input.addEventListener('input', () => {
    const card = input.closest('.person'), name = input.value.trim();
    input.classList.toggle('new', name !== input.defaultValue);
    card.dataset.name = name || input.placeholder;
    all('.row[data-person="' + card.dataset.person + '"] .label').forEach((el) => { el.textContent = card.dataset.name; });
    if (save) { const n = changed().length; save.hidden = !n; save.textContent = 'Save ' + n + (n === 1 ? ' name' : ' names'); }
  }));
  const cell = (text) => { const s = /^'*[=+\-@\t\r]/.test(text) ? "'" + text : text; return '"' + s.replaceAll('"', '""') + '"'; };
  if (save) save.addEventListener('click', () => {
    const lines = changed().map((input) => input.closest('.person').dataset.person + ',' + cell(input.value.trim()));
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob(['person,name\n' + lines.join('\n') + '\n'], { type: 'text/csv' }));
    link.download = 'names.csv';
    link.click();
  });
})();
