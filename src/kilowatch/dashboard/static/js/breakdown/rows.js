// From the columns that the server sends to what is drawn: rows, gaps, and rows thinned to pixels.

/** One object for each bucket of a channel. */
export function rowsOf(channel) {
  return channel.start_ms.map((start, i) => ({
    start,
    end: start + channel.duration_ms[i],
    value: channel.measure === "amount" ? channel.amount[i] : channel.mean[i],
    low: channel.low[i],
    high: channel.high[i],
    count: channel.count[i],
    unallocated: channel.unallocated[i] || 0,
    covered: channel.duration_ms[i] ? channel.covered_ms[i] / channel.duration_ms[i] : 0,
    quality: channel.quality[i],
  }));
}

/** Merge rows that share a pixel, keeping every peak: value = largest, low and high = extremes. */
export function thin(rows, pixelMs, measure) {
  if (!rows.length || rows[0].end - rows[0].start >= pixelMs) return rows;
  const found = [];
  let group = null;
  for (const row of rows) {
    const slot = Math.floor(row.start / pixelMs);
    if (group && group.slot === slot && row.start <= group.end) {
      const weight = group.weight + (row.end - row.start);
      if (row.value !== null) {
        if (group.value === null) group.value = row.value;
        else if (measure === "amount") group.value = Math.max(group.value, row.value);
        else group.value += (row.value - group.value) * (row.end - row.start) / weight;
      }
      group.low = smaller(group.low, row.low ?? row.value);
      group.high = larger(group.high, row.high ?? row.value);
      group.end = row.end;
      group.weight = weight;
      group.unallocated += row.unallocated;
      group.covered = Math.min(group.covered, row.covered);
      group.quality = Math.max(group.quality, row.quality);
    } else {
      group = { ...row, slot, weight: row.end - row.start,
        low: row.low ?? row.value, high: row.high ?? row.value };
      found.push(group);
    }
  }
  return found;
}

const smaller = (a, b) => (a === null ? b : b === null ? a : Math.min(a, b));
const larger = (a, b) => (a === null ? b : b === null ? a : Math.max(a, b));

/**
 * The stretches without data between two instants: [{from, to, unallocated}].
 * A row that only says "this much was used across the gap" does not close the gap.
 */
export function gaps(rows, from, to) {
  const found = [];
  let at = from;
  for (const row of rows) {
    const known = row.value !== null && (row.count > 0 || row.covered > 0);
    if (known && row.start > at) found.push({ from: at, to: row.start, unallocated: 0 });
    if (row.unallocated) {
      const last = found.at(-1);
      if (last && last.to >= row.start - 1) last.unallocated += row.unallocated;
      else if (!known) { found.push({ from: at, to: row.end, unallocated: row.unallocated }); at = row.end; }
    }
    if (known) at = Math.max(at, row.end);
  }
  if (to > at) found.push({ from: at, to, unallocated: 0 });
  return found;
}

/** The row that holds an instant, or null. */
export function rowAt(rows, ms) {
  let low = 0;
  let high = rows.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    if (ms < rows[middle].start) high = middle - 1;
    else if (ms >= rows[middle].end) low = middle + 1;
    else return rows[middle];
  }
  return null;
}
