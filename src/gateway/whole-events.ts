const lf = 0x0a;
const cr = 0x0d;

/**
 * A chunk in pieces of one server-sent event, in as far as blank lines show where one ends, so that each can
 * be decided on alone. What isn't cut by them stays together.
 */
export function* wholeEvents(chunk: Buffer): Generator<Buffer, void, undefined> {
  let start = 0;
  for (let at = chunk.indexOf(lf); at !== -1; at = chunk.indexOf(lf, at + 1)) {
    const before = chunk[at - 1] === cr ? at - 2 : at - 1;
    if (before < start || chunk[before] !== lf) continue;
    yield chunk.subarray(start, at + 1);
    start = at + 1;
  }
  if (start < chunk.length) yield chunk.subarray(start);
}
