import type { PixelSize } from './media-headers.ts';

/** How a family of models counts an image. */
interface ImageRule {
  readonly models: RegExp;
  /** At most, by its size in pixels and OpenAI's `detail`; a size of null is one that nothing is known of. */
  tokens(size: PixelSize | null, detail: string | null): number;
}

/** How many squares of this side cover an image. */
function squares({ width, height }: PixelSize, side: number): number {
  return Math.ceil(width / side) * Math.ceil(height / side);
}

function scaled({ width, height }: PixelSize, factor: number): PixelSize {
  return factor >= 1 ? { width, height } : { width: width * factor, height: height * factor };
}

/** 2048 × 768 pixels: no image is more tiles once it was made smaller. */
const mostTiles = 8;

/**
 * OpenAI's tiles: the image is made to fit 2048 × 2048 pixels, then its shorter side 768, and each square of
 * 512 of it has a price beside that of the whole (developers.openai.com, "Images and vision"). Smaller ones
 * aren't enlarged: recorded, 50 × 50 pixels were 210 tokens for gpt-5, which is one tile.
 */
function tiles(base: number, perTile: number): ImageRule['tokens'] {
  return (size, detail) => {
    if (detail === 'low') return base;
    if (size === null) return base + mostTiles * perTile;
    const fitted = scaled(size, 2_048 / Math.max(size.width, size.height));
    const shown = scaled(fitted, 768 / Math.min(fitted.width, fitted.height));
    return base + Math.min(mostTiles, squares(shown, 512)) * perTile;
  };
}

/** OpenAI's patches: squares of 32 pixels, of which an image is made small enough to have at most so many. */
function patches(multiplier: number, most: (detail: string | null) => number): ImageRule['tokens'] {
  return (size, detail) =>
    Math.ceil(multiplier * (size === null ? most(detail) : Math.min(most(detail), squares(size, 32))));
}

const smallPatches = () => 1_536;

/** Since gpt-5.4 an image may be shown as it is ("original", 10,000 patches) or at 2,500 ("high"). */
function largePatches(detail: string | null): number {
  if (detail === 'low') return 256;
  return detail === 'high' ? 2_500 : 10_000;
}

/**
 * Claude sees squares of 28 pixels of an image that is first made to fit (platform.claude.com, "Vision"). The
 * older account, width × height / 750, is nearly the same.
 */
function visualTokens(longestEdge: number, most: number): ImageRule['tokens'] {
  return (size) =>
    size === null
      ? most
      : Math.min(most, squares(scaled(size, longestEdge / Math.max(size.width, size.height)), 28));
}

/**
 * Gemini before 3: 258 tokens where both sides have at most 384 pixels, otherwise for each crop. A crop's side
 * is two thirds of the shorter side, between 256 and 768 (ai.google.dev, "Understand and count tokens").
 */
function crops(size: PixelSize | null): number {
  const perCrop = 258;
  if (size === null) return 24 * perCrop;
  if (Math.max(size.width, size.height) <= 384) return perCrop;
  const side = Math.min(768, Math.max(256, Math.floor(Math.min(size.width, size.height) / 1.5)));
  return Math.min(100, squares(size, side)) * perCrop;
}

/**
 * A bound for everyone else. Llama 3.2 has 1,601 tokens a tile, Pixtral one for 16 × 16 pixels up to 4,160,
 * Qwen one for 28 × 28 up to 16,384, Grok 256 a tile up to 1,792.
 */
function bound(size: PixelSize | null): number {
  if (size === null) return 5_000;
  return Math.min(16_384, Math.max(1_700, Math.min(4_160, squares(size, 16)), squares(size, 28)));
}

/** The first that matches counts, and the last one always does. */
const rules: readonly ImageRule[] = [
  // Its counts are multiplied so that an image costs as much as on gpt-4o.
  { models: /gpt-4o-mini/, tokens: tiles(2_833, 5_667) },
  { models: /gpt-4\.1-mini|gpt-5(\.\d+)?-mini/, tokens: patches(1.62, smallPatches) },
  { models: /gpt-4\.1-nano|gpt-5(\.\d+)?-nano/, tokens: patches(2.46, smallPatches) },
  { models: /o4-mini/, tokens: patches(1.72, smallPatches) },
  { models: /gpt-4o|gpt-4\.[15]|gpt-4-(turbo|vision|1106|0125)/, tokens: tiles(85, 170) },
  { models: /(^|[^a-z])o[13](?![\d.])/, tokens: tiles(75, 150) },
  { models: /computer-use-preview/, tokens: tiles(65, 129) },
  // gpt-5.2 was measured at 1.2 times what gpt-5 counts, which no page of OpenAI's says.
  { models: /gpt-5\.[1-3](?!\d)/, tokens: tiles(84, 168) },
  { models: /gpt-5(?![.\d])/, tokens: tiles(70, 140) },
  { models: /gpt-([6-9]|5\.\d)/, tokens: patches(1.2, largePatches) },
  {
    models: /claude-(2|3|instant)|(opus|sonnet|haiku)-4(?![-.]([7-9]|\d\d)(?!\d))/,
    tokens: visualTokens(1_568, 1_600),
  },
  { models: /claude/, tokens: visualTokens(2_576, 4_800) },
  // What a request may ask for at most (`media_resolution`), whatever the size.
  { models: /gemini-([3-9]|\d\d)/, tokens: () => 2_240 },
  { models: /gemini|gemma/, tokens: crops },
  { models: /(?:)/, tokens: bound },
];

/** At most how many tokens a model counts for an image. */
export function tokensOfImage(model: string, size: PixelSize | null, detail: string | null): number {
  const name = model.toLowerCase();
  return rules.find(({ models }) => models.test(name))?.tokens(size, detail) ?? 0;
}
