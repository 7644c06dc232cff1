import type { Chance } from './random.ts';

/** What a provider says that it used. */
export interface Reported {
  readonly input: number;
  readonly output: number;
}

/** A piece of an answer's body, `afterMs` behind the one before. */
interface Piece {
  readonly afterMs: number;
  readonly bytes: Buffer;
  /** What was generated, of the events that end in it. */
  readonly text: string;
  readonly reported: Reported | null;
}

/** Everything that a provider will do with one request, decided when it arrives. */
export interface Script {
  readonly kind: 'stream' | 'whole' | 'refused' | 'no connection' | 'no head';
  readonly headMs: number;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly pieces: readonly Piece[];
  readonly end: 'end' | 'cut' | 'hang';
  /** Whether all of the answer is in the pieces. */
  readonly isComplete: boolean;
}

/** As the encodings split text: a word with the blank before it, signs, blanks. So what is certain of a text adds up. */
export function tokensOf(text: string): number {
  return text.match(/ ?[a-z0-9]+|,|\s/g)?.length ?? 0;
}

export function planAnswer(
  chance: Chance,
  { stream, trouble }: { readonly stream: boolean; readonly trouble: number },
): Script {
  const base = {
    headMs: chance.delayMs(chance.pick([2, 20, 400])),
    status: 200,
    headers: {},
    pieces: [],
    end: 'end' as const,
    isComplete: false,
  };
  if (chance.happens(trouble)) {
    const kind = chance.pick(['no connection', 'no head', 'refused', 'refused'] as const);
    if (kind !== 'refused') return { ...base, kind };
    const status = chance.pick([400, 429, 500, 503]);
    const body = JSON.stringify({ error: { message: 'no', type: 'refused', code: null } });
    const headers = { 'content-type': 'application/json' };
    return { ...base, kind, status, headers, pieces: [pieceOf(1, body)] };
  }
  return stream ? planStream(chance, trouble, base) : planWhole(chance, trouble, base);
}

function planWhole(chance: Chance, trouble: number, base: Omit<Script, 'kind'>): Script {
  const text = textOf(chance, chance.whole(1, 2_000));
  const reported = chance.happens(0.85) ? reportedFor(chance, text) : null;
  const body = JSON.stringify({
    id: 'answer',
    object: 'chat.completion',
    choices: [{ index: 0, message: { role: 'assistant', content: text }, finish_reason: 'stop' }],
    ...(reported === null ? {} : { usage: usageOf(reported) }),
  });
  const end = chance.happens(trouble) ? chance.pick(['cut', 'hang'] as const) : 'end';
  const sent = end === 'end' ? body : body.slice(0, body.length / 2);
  const whole = end === 'end' ? { text, reported } : {};
  return {
    ...base,
    kind: 'whole',
    headers: { 'content-type': 'application/json' },
    pieces: [{ ...pieceOf(chance.delayMs(chance.pick([1, 300, 3_000])), sent), ...whole }],
    end,
    isComplete: end === 'end',
  };
}

function planStream(chance: Chance, trouble: number, base: Omit<Script, 'kind'>): Script {
  const paceMs = chance.pick([1, 20, 200, 1_500]);
  const longest = chance.pick([40, 400, 2_000]);
  const pieces: Piece[] = [pieceOf(1, eventOf({ role: 'assistant', content: '' }))];
  let whole = '';
  const count = chance.whole(1, 9);
  for (let piece = 0; piece < count; piece++) {
    const text = textOf(chance, chance.whole(1, longest));
    whole += text;
    pieces.push({ ...pieceOf(chance.delayMs(paceMs), eventOf({ content: text })), text });
  }
  const script = { ...base, kind: 'stream' as const, headers: { 'content-type': 'text/event-stream' } };
  if (chance.happens(trouble)) return { ...script, ...broken(chance, pieces) };
  pieces.push(pieceOf(1, eventOf({}, 'stop')));
  if (chance.happens(0.8)) {
    const reported = reportedFor(chance, whole);
    const bytes = `data: ${JSON.stringify({ id: 'answer', choices: [], usage: usageOf(reported) })}\n\n`;
    pieces.push({ ...pieceOf(1, bytes), reported });
  }
  pieces.push(pieceOf(1, 'data: [DONE]\n\n'));
  const end = chance.happens(0.1) ? 'hang' : 'end';
  return { ...script, pieces: recut(chance, pieces), end, isComplete: true };
}

/** A stream that ends before its end. */
function broken(chance: Chance, pieces: readonly Piece[]): Pick<Script, 'pieces' | 'end'> {
  const sent = pieces.slice(0, chance.whole(0, pieces.length));
  const how = chance.pick(['cut', 'hang', 'end', 'error'] as const);
  if (how !== 'error') return { pieces: sent, end: how };
  const error = `data: ${JSON.stringify({ error: { message: 'overloaded', type: 'server_error' } })}\n\n`;
  return { pieces: [...sent, pieceOf(1, error)], end: 'end' };
}

/** Events that arrive together, and events that arrive in two parts. */
function recut(chance: Chance, pieces: readonly Piece[]): readonly Piece[] {
  const recutPieces: Piece[] = [];
  for (const piece of pieces) {
    const last = recutPieces.at(-1);
    if (last !== undefined && chance.happens(0.15)) {
      recutPieces[recutPieces.length - 1] = {
        afterMs: last.afterMs,
        bytes: Buffer.concat([last.bytes, piece.bytes]),
        text: last.text + piece.text,
        reported: piece.reported ?? last.reported,
      };
    } else if (chance.happens(0.1)) {
      const at = chance.whole(1, piece.bytes.length - 1);
      recutPieces.push({ ...piece, bytes: piece.bytes.subarray(0, at), text: '', reported: null });
      recutPieces.push({ ...piece, afterMs: 1, bytes: piece.bytes.subarray(at) });
    } else recutPieces.push(piece);
  }
  return recutPieces;
}

function pieceOf(afterMs: number, body: string): Piece {
  return { afterMs, bytes: Buffer.from(body), text: '', reported: null };
}

function eventOf(delta: object, finishReason: string | null = null): string {
  const choice = { index: 0, delta, finish_reason: finishReason };
  return `data: ${JSON.stringify({ id: 'answer', object: 'chat.completion.chunk', choices: [choice] })}\n\n`;
}

function textOf(chance: Chance, length: number): string {
  return chance
    .pick(['sea ', 'wave ', 'salt, ', 'gulls\n'])
    .repeat(Math.ceil(length / 4))
    .slice(0, length);
}

/** Providers count a little otherwise than we do. */
function reportedFor(chance: Chance, text: string): Reported {
  return { input: chance.whole(1, 400), output: tokensOf(text) + chance.whole(0, 9) };
}

function usageOf({ input, output }: Reported): object {
  return { prompt_tokens: input, completion_tokens: output, total_tokens: input + output };
}
