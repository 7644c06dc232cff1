import { describe, expect, test } from 'vitest';
import { audioTokens, fileTokens, imageTokens, mediaSource, videoTokens } from './media-estimate.ts';

const base64 = (...parts: readonly (Buffer | string)[]) => ({
  base64: Buffer.concat(parts.map((part) => Buffer.from(part as string, 'latin1'))).toString('base64'),
});

function uint32(value: number, order: 'LE' | 'BE' = 'BE'): Buffer {
  const bytes = Buffer.alloc(4);
  if (order === 'LE') bytes.writeUInt32LE(value);
  else bytes.writeUInt32BE(value);
  return bytes;
}

/** The first bytes of a PNG, as far as its size goes. */
function png(width: number, height: number) {
  return base64(
    '\x89PNG\r\n\x1a\n',
    uint32(13),
    'IHDR',
    uint32(width),
    uint32(height),
    '\x08\x02\0\0\0',
    Buffer.alloc(200),
  );
}

/** A JPEG whose size stands behind metadata of so many bytes. */
function jpeg(width: number, height: number, metadataBytes: number) {
  const segments: Buffer[] = [];
  for (let left = metadataBytes; left > 0; left -= 60_000) {
    const length = Math.min(left, 60_000);
    segments.push(Buffer.from([0xff, 0xe2, (length + 2) >> 8, (length + 2) & 0xff]), Buffer.alloc(length));
  }
  const frame = Buffer.from([0xff, 0xc0, 0, 17, 8, height >> 8, height & 0xff, width >> 8, width & 0xff, 3]);
  return base64('\xff\xd8', ...segments, frame, Buffer.alloc(20_000));
}

const image = (model: string, source: { base64: string } | null, detail: string | null = null) =>
  imageTokens(model, { source, detail });

describe('the bound of an image', () => {
  test.each([
    // The examples of OpenAI's own page.
    ['gpt-4o', 1_024, 1_024, 'high', 765],
    ['gpt-4o', 2_048, 4_096, 'high', 1_105],
    ['gpt-4o', 4_096, 8_192, 'low', 85],
    ['gpt-4.1-mini', 1_024, 1_024, null, Math.ceil(1_024 * 1.62)],
    ['gpt-4.1-mini', 1_800, 2_400, null, Math.ceil(1_536 * 1.62)],
    ['openai/gpt-4o-mini-2024-07-18', 1_024, 1_024, 'auto', 2_833 + 4 * 5_667],
    ['gpt-5-2025-08-07', 50, 50, null, 210],
    ['gpt-5-mini', 64, 64, null, Math.ceil(4 * 1.62)],
    ['o3', 512, 512, null, 225],
    ['gpt-5.4', 6_000, 6_000, 'original', 12_000],
    ['gpt-5.4', 6_000, 6_000, 'high', 3_000],
    ['claude-sonnet-4-20250514', 50, 50, null, 4],
    ['claude-opus-4-6', 4_000, 3_000, null, 1_600],
    ['claude-opus-4-7', 4_000, 3_000, null, 4_800],
    ['claude-sonnet-5', 280, 280, null, 100],
    ['gemini-2.5-flash', 384, 384, null, 258],
    ['gemini-2.5-flash', 960, 540, null, 6 * 258],
    ['gemini-3-flash-preview', 960, 540, null, 2_240],
  ])('%s counts %i × %i pixels at detail %s as %i tokens', (model, width, height, detail, tokens) => {
    expect(image(model, png(width, height), detail)).toBe(tokens);
  });

  test('is that of the largest where its size is unknown', () => {
    const unknown = [
      null,
      { base64: '' },
      { base64: 'AAAA'.repeat(100_000) },
      base64('\x89PNG\r\n\x1a\n broken'),
    ];
    for (const source of unknown) {
      expect(image('gpt-4o', source)).toBe(85 + 8 * 170);
      expect(image('claude-haiku-4-5', source)).toBe(1_600);
      expect(image('llava', source)).toBe(5_000);
    }
    expect(imageTokens('gpt-4o', { source: { reference: 'https://example.com/a.png' }, detail: 'low' })).toBe(
      85,
    );
  });

  test('is never more for a known size than for an unknown one, in families with a largest', () => {
    for (const model of [
      'gpt-4o',
      'gpt-4.1-nano',
      'gpt-5',
      'gpt-5.2',
      'gpt-5.4',
      'o1',
      'claude-3-5-sonnet',
      'claude-fable-5',
    ]) {
      for (const [width, height] of [
        [1, 1],
        [8_000, 8_000],
        [8_000, 10],
        [767, 20_000],
      ] as const) {
        expect(image(model, png(width, height)), model).toBeLessThanOrEqual(image(model, null));
      }
    }
  });

  test('is read of a JPEG behind its metadata, as far as metadata goes', () => {
    expect(image('gpt-4o', jpeg(1_024, 1_024, 14))).toBe(765);
    expect(image('gpt-4o', jpeg(1_024, 1_024, 100_000))).toBe(765);
    expect(image('gpt-4o', jpeg(1_024, 1_024, 900_000))).toBe(1_445);
  });

  test('of a name that nobody knows is above what any recorded open model counts', () => {
    // Ollama's granite3.2-vision counted 785 for 128 × 128 pixels.
    expect(image('granite3.2-vision', png(128, 128))).toBeGreaterThanOrEqual(785);
    expect(image('qwen2.5-vl-72b', png(4_000, 4_000))).toBeGreaterThanOrEqual(16_384);
  });

  test('is the same whatever follows its header', () => {
    const long = image('gpt-4o', { base64: 'A'.repeat(20_000_000) });
    expect(long).toBe(image('gpt-4o', { base64: 'A'.repeat(1_000_000) }));
  });
});

function wav(byteRate: number, seconds: number, ...between: readonly (Buffer | string)[]) {
  const format = [
    uint32(16, 'LE'),
    Buffer.from([1, 0, 1, 0]),
    uint32(16_000, 'LE'),
    uint32(byteRate, 'LE'),
    Buffer.from([2, 0, 16, 0]),
  ];
  return base64(
    'RIFF',
    uint32(0),
    'WAVE',
    ...between,
    'fmt ',
    ...format,
    'data',
    uint32(0xffffffff, 'LE'),
    Buffer.alloc(Math.max(0, byteRate * seconds)),
  );
}

describe('the bound of audio', () => {
  const minute = 60 * 32;

  test('is exact for WAV, whatever else its header holds', () => {
    for (const source of [
      wav(32_000, 60),
      wav(192_000, 60),
      wav(32_000, 60, 'LIST', uint32(3, 'LE'), 'abc\0'),
    ]) {
      expect(audioTokens(source, 'wav')).toBeGreaterThanOrEqual(minute);
      expect(audioTokens(source, 'audio/mpeg')).toBeLessThan(minute + 2);
    }
  });

  test('of a header that claims hours in a second is that of the best sound there is', () => {
    const { base64: header } = wav(0xffffffff, 0);
    expect(audioTokens({ base64: header + 'A'.repeat(40_000_000) }, 'wav')).toBeGreaterThan(12 * 32);
    const { base64: none } = wav(0, 0);
    expect(audioTokens({ base64: none + 'A'.repeat(1_000_000) }, 'wav')).toBeGreaterThan(90 * 32);
  });

  test.each([
    ['wav', 8_000],
    ['pcm16', 16_000],
    ['mp3', 4_000],
    ['audio/ogg', 1_500],
  ])('of %s without a header is that of the least bytes a second', (format, bytesPerSecond) => {
    expect(audioTokens({ base64: 'A'.repeat((60 * bytesPerSecond * 4) / 3) }, format)).toBe(minute);
  });

  test('of a reference is five minutes, and of no bytes nothing', () => {
    expect(audioTokens({ reference: 'https://example.com/a.mp3' }, '')).toBe(5 * minute);
    expect(audioTokens(null, 'wav')).toBe(5 * minute);
    expect(audioTokens({ base64: '' }, 'wav')).toBe(0);
  });
});

describe('a source', () => {
  test.each([
    ['data:audio/wav;base64,AAAA', { base64: 'AAAA' }],
    ['DATA:;base64,AAAA', { base64: 'AAAA' }],
    ['https://example.com/a.pdf', { reference: 'https://example.com/a.pdf' }],
    ['gs://bucket/a.pdf', { reference: 'gs://bucket/a.pdf' }],
    ['//example.com/a.pdf', { base64: '//example.com/a.pdf' }],
    ['AAAA', { base64: 'AAAA' }],
    [7, null],
    [undefined, null],
  ])('%s is told by how it begins', (value, source) => {
    expect(mediaSource(value)).toEqual(source);
  });
});

describe('the bound of a file', () => {
  test('goes by the pages that a PDF says it has', () => {
    const start = '%PDF-1.7\n1 0 obj <</Linearized 1/L 900/O 3/N 12/T 800>>';
    expect(fileTokens(base64(start, Buffer.alloc(3_000_000)))).toBe(12 * 4_600);
    const tree = '<</Type/Pages/Count 4>> <</Type/Pages /Count 7 /Kids[]>>';
    expect(fileTokens(base64('%PDF-1.4\n', Buffer.alloc(1_000_000), tree))).toBe(7 * 4_600);
  });

  test('goes by its size where it says nothing, and is never nothing', () => {
    expect(fileTokens(base64('%PDF-1.4\n', Buffer.alloc(200_000)))).toBeGreaterThanOrEqual(50_000);
    for (const source of [{ base64: '' }, base64('%PDF /Count 0'), base64('plain')])
      expect(fileTokens(source)).toBe(5_000);
    for (const source of [null, { reference: 'file-1' }]) expect(fileTokens(source)).toBe(32_000);
    expect(fileTokens(base64('%PDF-1.4 /Count 999999'))).toBe(128_000);
  });
});

function mp4(seconds: number, mediaBytes: number, isWide = false) {
  const times = isWide
    ? [Buffer.from([1, 0, 0, 0]), Buffer.alloc(16), uint32(600), uint32(0), uint32(seconds * 600)]
    : [Buffer.alloc(12), uint32(600), uint32(seconds * 600)];
  const header = Buffer.concat([...times, Buffer.alloc(80)]);
  const movie = Buffer.concat([uint32(header.length + 8), Buffer.from('mvhd'), header]);
  return base64(
    uint32(16),
    'ftypisom',
    uint32(0),
    uint32(mediaBytes + 8),
    'mdat',
    Buffer.alloc(mediaBytes),
    uint32(movie.length + 8),
    'moov',
    movie,
  );
}

describe('the bound of a video', () => {
  test.each([[false], [true]])(
    'goes by its length, also where the header is at its end (wide: %s)',
    (isWide) => {
      expect(videoTokens(mp4(90, 1_000_001, isWide))).toBe(90 * 300);
    },
  );

  test('of a header that claims no time is that of the best picture there is', () => {
    expect(videoTokens(mp4(0, 25_000_000))).toBeGreaterThanOrEqual(10 * 300);
  });

  test('of anything else is by its size, and of a link two minutes', () => {
    expect(videoTokens({ base64: 'A'.repeat(8_000_000) })).toBe(300 * 300);
    for (const type of ['moov', 'mdat']) {
      expect(videoTokens(base64(uint32(8), 'ftyp', uint32(1), type))).toBeGreaterThanOrEqual(0);
    }
    expect(videoTokens(null)).toBe(40_000);
    // A film of a minute on YouTube was 17,697 tokens of Gemini's.
    expect(videoTokens({ reference: 'https://youtu.be/x' })).toBeGreaterThan(17_697);
  });
});
