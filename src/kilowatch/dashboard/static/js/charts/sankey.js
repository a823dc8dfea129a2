// Where the bars and bands of an energy flow stand. The flow is a tree with further sources, so that
// no search for crossings is needed: what a node feeds lies beside it, the largest first.

const PAD = 10;
const BAR = 12;

/**
 * Lay out nodes and links.
 * @param flow {nodes: [{key, depth, amount, kind}], links: [{source, target, amount}]}
 * @param room the height that is kept for it: a small flow fills it
 * @returns {nodes: Map(key -> {…, x, y, height}), links: [{source, target, amount, y0, y1, thick}], height}
 */
export function layout(flow, width, labels, room = 0) {
  const nodes = new Map(flow.nodes.map((node) => [node.key, { ...node, y: 0, height: 0, into: [], out: [] }]));
  for (const link of flow.links) {
    const [source, target] = [nodes.get(link.source), nodes.get(link.target)];
    if (!source || !target) continue;
    source.out.push({ ...link, node: target });
    target.into.push({ ...link, node: source });
  }
  const through = (node) => Math.max(node.into.reduce((sum, one) => sum + one.amount, 0), node.out.reduce((sum, one) => sum + one.amount, 0));
  const shown = [...nodes.values()].filter((node) => node.into.length || node.out.length);
  const deepest = Math.max(1, ...shown.map((node) => node.depth));
  const leaves = shown.filter((node) => !node.out.length).length;
  const total = Math.max(...shown.map(through), 1e-12);
  const tall = Math.min(440, Math.max(220, leaves * 16, room - leaves * PAD - 16));
  const scale = tall / total;
  for (const node of shown) node.height = Math.max(1.5, through(node) * scale);
  const step = (width - BAR - labels) / deepest;
  // Sources from the side stand one column before what they feed, below what came from further left.
  let cursor = 0;
  const placed = new Set();
  const place = (node) => {
    if (placed.has(node)) return;
    placed.add(node);
    node.x = node.depth * step;
    const children = node.out.map((one) => one.node).filter((one) => !placed.has(one));
    const top = cursor;
    if (!children.length) {
      node.y = cursor;
      cursor += Math.max(node.height, 14) + PAD;
      return;
    }
    for (const child of children) place(child);
    const last = children.at(-1);
    node.y = Math.max(top, (children[0].y + last.y + last.height) / 2 - node.height / 2);
    cursor = Math.max(cursor, node.y + node.height + PAD);
  };
  const side = (node) => !node.into.length && node.kind !== "supply";
  for (const node of shown) if (!node.into.length && !side(node)) place(node);
  for (const node of shown.filter(side)) {
    node.x = Math.max(0, node.depth) * step;
    const target = node.out[0].node;
    place(target);
    placed.add(node);
    const column = shown.filter((one) => placed.has(one) && one !== node && Math.abs(one.x - node.x) < 1);
    node.y = column.reduce((low, one) => (one.y < low + node.height + PAD && one.y + one.height + PAD > low ? one.y + one.height + PAD + 6 : low), Math.max(0, target.y));
  }
  const links = [];
  for (const node of shown) {
    let y = node.y;
    for (const one of node.out) { one.y0 = y + one.amount * scale / 2; y += one.amount * scale; }
  }
  for (const node of shown) {
    let y = node.y;
    const into = [...node.into].sort((a, b) => a.node.y - b.node.y);
    for (const one of into) {
      const out = one.node.out.find((other) => other.node === node);
      links.push({ source: one.node, target: node, amount: one.amount, y0: out.y0, y1: y + one.amount * scale / 2, thick: Math.max(1, one.amount * scale) });
      y += one.amount * scale;
    }
  }
  const height = Math.max(...shown.map((node) => node.y + Math.max(node.height, 14))) + 8;
  return { nodes: shown, links, height, bar: BAR, deepest };
}
