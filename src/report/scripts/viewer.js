'use strict';
// The interactive viewer: maps of the page, or any NIfTI file that the reader opens, on slices of the brain.
(() => {
  const root = document.querySelector('.viewer');
  const { maps, brains } = JSON.parse(root.querySelector('script').textContent);
  const control = (name) => root.querySelector(`[name="${name}"]`);
  const canvas = root.querySelector('canvas');
  const place = root.querySelector('output');
  const state = { nv: null, map: null, overlay: null, outline: null, factor: 1, names: [], shown: 0 };
  // The intent of a NIfTI volume of labels, which is what the library outlines.
  const LABEL = 1002;
  // How opaque outlines of networks are.
  const OUTLINE = 0.75;
  // And what they enclose: a volume of no opacity at all is left out.
  const FILL = 0.002;

  const dark = window.matchMedia('(prefers-color-scheme: dark)');
  const background = () => (dark.matches ? [0.086, 0.094, 0.102, 1] : [0.992, 0.992, 0.984, 1]);
  const ink = () => (dark.matches ? [0.9, 0.9, 0.89, 1] : [0.11, 0.12, 0.13, 1]);
  const say = (text) => { place.textContent = text; };

  // The page's own colours, so that viewer and slices agree.
  function colourMaps(nv) {
    for (const [name, colours] of Object.entries(JSON.parse(root.dataset.colours))) {
      // The first step is what lies below the threshold: not seen at all.
      const steps = [colours[0], ...colours];
      const I = [0, ...colours.map((_, step) => Math.max(1, Math.round((255 * step) / (colours.length - 1))))];
      const channel = (at) => steps.map((colour) => parseInt(colour.slice(1 + 2 * at, 3 + 2 * at), 16));
      nv.addColormap(name, { R: channel(0), G: channel(1), B: channel(2), A: [0, ...colours.map(() => 255)], I });
    }
  }

  // What voxels without a score look like: one shade, and the page's own outside of the networks.
  function brainColours(nv) {
    const shade = dark.matches ? 56 : 224;
    const [R, G, B] = background().map((channel) => [Math.round(255 * channel), shade, shade]);
    nv.addColormap('hebb-brain', { R, G, B, A: [255, 255, 255], I: [0, 1, 255] });
  }

  const image = (base64, name, options) => niivue.NVImage.loadFromBase64({ base64, name, ...options });

  // The networks of a brain on a finer grid, as outlines are one step of the grid wide.
  async function finer(brain) {
    const coarse = await image(brain.file, 'brain.nii.gz', {});
    const size = coarse.hdr.dims.slice(1, 4);
    const factor = [3, 2, 1].find((by) => by === 1 || size[0] * size[1] * size[2] * by ** 3 <= 12e6);
    const [nx, ny, nz] = size.map((n) => n * factor);
    const labels = new Int16Array(nx * ny * nz);
    for (let z = 0, at = 0; z < nz; z++) {
      for (let y = 0; y < ny; y++) {
        const row = size[0] * (Math.floor(y / factor) + size[1] * Math.floor(z / factor));
        for (let x = 0; x < nx; x++, at++) labels[at] = coarse.img[row + Math.floor(x / factor)];
      }
    }
    const affine = coarse.hdr.affine.map((row) => {
      const steps = row.slice(0, 3).map((step) => step / factor);
      return [...steps, row[3] - ((factor - 1) / 2) * (steps[0] + steps[1] + steps[2])];
    });
    affine[3] = [0, 0, 0, 1];
    const spacing = coarse.hdr.pixDims.slice(1, 4).map((step) => step / factor);
    const bytes = niivue.NVImage.createNiftiArray([nx, ny, nz], spacing, affine.flat(), 4, new Uint8Array(labels.buffer));
    return { bytes, factor };
  }

  async function start() {
    if (!canvas.getContext('webgl2')) {
      root.dataset.state = 'failed';
      say('The viewer needs WebGL 2, which this browser does not offer; the slices below show the same scores.');
      return;
    }
    const nv = new niivue.Niivue({
      backColor: background(), fontColor: ink(), crosshairColor: [0.85, 0.3, 0.1, 0.8], crosshairWidth: 0.25, show3Dcrosshair: false,
      isColorbar: false, isOrientCube: false, dragAndDropEnabled: false, logLevel: 'error', fontSizeScaling: 0.6,
      loadingText: '', isRadiologicalConvention: false, multiplanarShowRender: 0, renderOverlayBlend: 1, isNearestInterpolation: true,
    });
    await nv.attachToCanvas(canvas);
    colourMaps(nv);
    nv.onLocationChange = ({ mm, values }) => {
      const [x, y, z] = [...mm].map((at) => at.toFixed(0));
      const of = values.find(({ id }) => state.overlay && id === state.overlay.id);
      const score = of && Number.isFinite(of.value) ? `, ${of.value.toPrecision(3)}` : '';
      const label = values.find(({ id }) => state.outline && id === state.outline.id);
      const network = label && label.value > 0 ? `, ${state.names[Math.round(label.value) - 1] ?? ''}` : '';
      say(`x ${x}, y ${y}, z ${z} mm${score}${network}`);
    };
    state.nv = nv;
    await show();
    root.dataset.state = 'ready';
  }

  // One of the files of a map, in the colours of the map.
  function layer(map, at) {
    const signed = map.scale === 'signed';
    return image(map.files[at], `${map.title}.nii.gz`, {
      colormap: signed ? 'hebb-warm' : 'hebb-from-zero', colormapNegative: signed ? 'hebb-cold' : '',
      cal_min: map.limit / 20, cal_max: map.limit, trustCalMinMax: false,
    });
  }

  // Shows another pattern of the same map, with everything else as it is. A file that the reader opened has them all.
  async function turnTo(at) {
    const { nv, map, shown } = state;
    if (map.files.length === 1) {
      nv.setFrame4D(state.overlay.id, at);
      return;
    }
    const overlay = await layer(map, at);
    if (shown !== state.shown) return;
    const before = state.overlay;
    nv.addVolume(overlay);
    nv.setVolume(overlay, 1);
    nv.removeVolume(before);
    state.overlay = overlay;
    settle();
  }

  // Shows the map that is chosen, over the voxels of its subject.
  async function show() {
    const { nv } = state;
    const turn = ++state.shown;
    const map = maps[control('map').value];
    const brain = brains[map.brain];
    const { bytes, factor } = (brain.finer ??= await finer(brain));
    const onFiner = async (name) => Object.assign(await niivue.NVImage.new(bytes.slice().buffer, name), { colorbarVisible: false });
    brainColours(nv);
    const underlay = await onFiner('brain.nii');
    Object.assign(underlay, { colormap: 'hebb-brain', cal_min: 0, cal_max: brain.networks.length + 1 });
    const overlay = await layer(map, 0);
    const outline = await onFiner('networks.nii');
    outline.hdr.intent_code = LABEL;
    const labels = [0, ...brain.networks.map((_, at) => at + 1), brain.networks.length + 1];
    const shade = dark.matches ? 235 : 40;
    outline.setColormapLabel({
      R: labels.map(() => shade), G: labels.map(() => shade), B: labels.map(() => shade), A: labels.map((label) => (label > 0 ? 255 : 0)),
      I: labels, labels: ['', ...brain.networks, ''],
    });
    if (turn !== state.shown) return;
    while (nv.volumes.length > 0) nv.removeVolume(nv.volumes[0]);
    [underlay, overlay, outline].forEach((volume) => nv.addVolume(volume));
    const first = !state.map;
    Object.assign(state, { map, overlay, outline, factor, names: brain.networks });
    if (first) nv.scene.crosshairPos = nv.mm2frac(strongest(overlay));
    const frames = control('frame');
    frames.replaceChildren(...map.frames.map((name, at) => new Option(name, at)));
    frames.closest('label').hidden = map.frames.length < 2;
    const [low, high] = [control('low'), control('high')];
    for (const range of [low, high]) Object.assign(range, { min: 0, max: map.limit, step: map.limit / 200 });
    low.value = map.limit / 20;
    high.value = map.limit;
    root.querySelector('.measure').textContent = map.measure;
    root.querySelector('.left-out').textContent = map.left_out;
    settle();
  }

  // The place in millimetres where a map has its largest value.
  function strongest({ img, hdr }) {
    const [nx, ny, nz] = hdr.dims.slice(1, 4);
    let best = 0;
    for (let at = 1; at < nx * ny * nz; at++) if (Math.abs(img[at]) > Math.abs(img[best])) best = at;
    const voxel = [best % nx, Math.floor(best / nx) % ny, Math.floor(best / (nx * ny)), 1];
    return hdr.affine.slice(0, 3).map((row) => row.reduce((sum, step, axis) => sum + step * voxel[axis], 0));
  }

  // What the colours mean: a bar for each sign.
  function bars({ cal_min: low, cal_max: high, colormapNegative: hasNegative }) {
    const colours = JSON.parse(root.dataset.colours);
    const bar = (steps) => {
      const painted = document.createElement('span');
      painted.className = 'bar';
      painted.style.background = `linear-gradient(to right, ${steps.join(', ')})`;
      return painted;
    };
    const [from, to] = [low.toPrecision(2), high.toPrecision(2)];
    const parts = hasNegative
      ? [`−${to}`, bar([...colours['hebb-cold']].reverse()), `−${from} to ${from}`, bar(colours['hebb-warm']), to]
      : [from, bar(colours['hebb-from-zero']), to];
    root.querySelector('.scale').replaceChildren(...parts);
  }

  // Brings what is seen in line with the controls.
  function settle() {
    const { nv, overlay } = state;
    if (!overlay) return;
    const [low, high] = [control('low'), control('high')].map((range) => Number(range.value));
    overlay.cal_min = Math.min(low, high * 0.99);
    overlay.cal_max = high;
    if (overlay.colormapNegative) {
      overlay.cal_minNeg = -overlay.cal_min;
      overlay.cal_maxNeg = -high;
    }
    bars(overlay);
    root.querySelector('.low').textContent = overlay.cal_min.toPrecision(2);
    root.querySelector('.high').textContent = high.toPrecision(2);
    nv.setOpacity(1, Number(control('opacity').value));
    const solid = control('view').value === 'solid';
    nv.opts.atlasOutline = OUTLINE;
    nv.setOpacity(2, control('networks').checked && !solid ? FILL : 0);
    const views = { all: nv.sliceTypeMultiplanar, axial: nv.sliceTypeAxial, coronal: nv.sliceTypeCoronal, sagittal: nv.sliceTypeSagittal, solid: nv.sliceTypeRender };
    nv.setSliceType(views[control('view').value]);
    nv.updateGLVolume();
    nv.createOnLocationChange();
  }

  root.addEventListener('change', ({ target }) => {
    if (!state.nv) return;
    if (target.name === 'map') show();
    else if (target.name === 'frame') turnTo(Number(target.value));
    else if (target.name === 'file') open(target.files[0]);
    else settle();
  });
  root.addEventListener('input', ({ target }) => { if (target.type === 'range') settle(); });

  // Keys move by a voxel of the map, or turn the solid view. The library's own keys want the mouse over the picture.
  const MOVES = {
    ArrowLeft: [-1, 0, 0], ArrowRight: [1, 0, 0], ArrowDown: [0, -1, 0], ArrowUp: [0, 1, 0], PageDown: [0, 0, -1], PageUp: [0, 0, 1],
  };
  canvas.addEventListener('keydown', (event) => {
    event.stopImmediatePropagation();
    const move = MOVES[event.key];
    if (!move || !state.nv) return;
    event.preventDefault();
    const { nv } = state;
    if (control('view').value === 'solid') {
      nv.setRenderAzimuthElevation(nv.scene.renderAzimuth + 5 * move[0], nv.scene.renderElevation + 5 * (move[1] + move[2]));
      return;
    }
    nv.moveCrosshairInVox(...move.map((step) => step * state.factor));
    nv.createOnLocationChange();
    nv.drawScene();
  });
  canvas.addEventListener('keyup', (event) => event.stopImmediatePropagation());

  // A file of the results folder, or any other: shown over the same brain, at its own range.
  async function open(file) {
    if (!file) return;
    try {
      const bytes = new Uint8Array(await file.arrayBuffer());
      let text = '';
      for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
      const volume = await image(btoa(text), file.name, { colormap: 'hebb-warm', colormapNegative: 'hebb-cold' });
      const limit = Math.max(Math.abs(volume.global_max), Math.abs(volume.global_min)) || 1;
      const frames = Array.from({ length: volume.nFrame4D ?? 1 }, (_, at) => `volume ${at}`);
      maps.push({ title: file.name, measure: file.name, scale: 'signed', limit, frames, left_out: '', files: [btoa(text)], brain: state.map.brain });
      control('map').append(new Option(file.name, maps.length - 1));
      control('map').value = maps.length - 1;
      await show();
    } catch (error) {
      say(`${file.name} cannot be shown: ${error.message}`);
    }
  }

  dark.addEventListener('change', () => {
    if (!state.nv) return;
    state.nv.opts.backColor = background();
    state.nv.opts.fontColor = ink();
    brainColours(state.nv);
    show();
  });

  // Nothing is decoded before somebody looks.
  const seen = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    seen.disconnect();
    start().catch((error) => {
      root.dataset.state = 'failed';
      say(`The viewer did not start: ${error.message}. The slices below show the same scores.`);
    });
  }, { rootMargin: '300px' });
  seen.observe(root);
})();
