import { describe, expect, test } from 'vitest';
import { refusal } from '../domain/errors.ts';
import { type EventFate, nothingSaid, type SseEvent, type StreamMeter } from './dialect.ts';
import { followSse, isEventStream } from './sse-follower.ts';

/** Takes the data of each event as what is to become of it. */
const obedient: StreamMeter = {
  take: ({ data }: SseEvent) => (data ?? 'relay') as EventFate,
  reading: () => ({
    ...nothingSaid,
    usageIsFinal: false,
    begun: true,
    generated: { texts: [], overhead: 0 },
  }),
};
const follow = () => followSse(obedient, ({ code }) => Buffer.from(`error: ${code}`));

const event = (fate: EventFate, text = '') => `: ${text}\ndata: ${fate}\n\n`;
const text = (pieces: readonly Buffer[]) => pieces.map(String);

describe('following a stream', () => {
  test('events go on at once, in one piece where they came in one', () => {
    const follower = follow();
    const chunk = event('relay', 'a') + event('relay', 'b');
    expect(text(follower.push(Buffer.from(`${chunk}: unfinished`)))).toEqual([chunk]);
    expect(text(follower.push(Buffer.from('\n\n')))).toEqual([': unfinished\n\n']);
  });

  test('what is kept leaves no trace, and parts what stands around it', () => {
    const follower = follow();
    const pieces = follower.push(Buffer.from(event('relay', 'a') + event('keep') + event('relay', 'b')));
    expect(text(pieces)).toEqual([event('relay', 'a'), event('relay', 'b')]);
  });

  test('from the closing event on everything waits for the end', () => {
    const follower = follow();
    const closing = event('close') + event('relay', 'late');
    expect(text(follower.push(Buffer.from(event('relay', 'a') + closing)))).toEqual([event('relay', 'a')]);
    expect(follower.closed).toBe(true);
    expect(text(follower.push(Buffer.from(event('keep') + event('relay', 'b'))))).toEqual([]);
    expect(text(follower.end()).join('')).toBe(closing + event('relay', 'b'));
  });

  test('an event without its blank line goes on at the end', () => {
    const follower = follow();
    follower.push(Buffer.from('data: relay'));
    expect(text(follower.end())).toEqual(['data: relay']);
    expect(follower.closed).toBe(false);
  });

  test('what can not go on ends with an error as the format has it', () => {
    expect(String(follow().errorEnd(refusal('UPSTREAM_TIMEOUT', 'late')))).toBe('error: UPSTREAM_TIMEOUT');
  });
});

test.each([
  ['text/event-stream; charset=utf-8', false, true],
  ['application/json', true, false],
  ['', true, true],
  ['', false, false],
])('an answer of type "%s", asked as a stream: %s, is one: %s', (contentType, asked, streamed) => {
  expect(isEventStream(contentType, asked)).toBe(streamed);
});
