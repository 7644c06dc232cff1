/**
 * Words that are one token each in o200k_base, with the space before them. The encoding cuts text
 * before each such space, so a text made of them has exactly as many tokens as words and marks,
 * and so has every beginning of it. The test beside this file holds all of that.
 */
const common =
  'a about across after again all along also among and any are around as at away back before began ' +
  'behind below best between book both bread bridge bright bring build by call careful carry chair ' +
  'change child circle city clear close cloud coast cold color common corner count country cover cross ' +
  'dance dark day deep different door down dream drive each early earth east easy end enough even ' +
  'evening every eye face fair far field fire first floor follow for forest form forward free fresh ' +
  'friend from garden gentle give glass gold good grain grass great green ground group grow half hand ' +
  'harbor heavy high hill hold home horse hour house idea in inside island it its journey kind lake ' +
  'land large last late law lead leaf learn leave left letter level light line little live long low ' +
  'make many map market measure middle mile mind moon morning most mountain move music name narrow near ' +
  'new night noise north note number of old on one open order other over own page paper part path place ' +
  'plain plan plant point quiet rain reach read ready river road rock roof room round sail salt same ' +
  'sand school sea second seed sense set shadow shape share short side silver simple sky slow small snow ' +
  'soft some song soon sound south spring square stand star station stay steady step still stone story ' +
  'street strong summer sun table tall tell than that the their then thin think this three through time ' +
  'to tower town trade train travel tree true turn under until up valley very view voice walk wall warm ' +
  'watch water way weather well west wheel when where while white wide wild wind window winter with wood ' +
  'word work world write year young';

/** Of two and three bytes a character in UTF-8, so that readers meet characters cut in two. */
const multiByte = 'café für été mañana größer español 世界 日本 слово мир και';

const openings = 'The A In On Each When After Some Every This That One Many Over Through Under From It';

/** A piece of an answer: what one streamed event carries at the finest. */
export interface Piece {
  readonly text: string;
  /** The text as it stands in JSON, without its quotes. */
  readonly json: string;
  readonly tokens: number;
}

export function pieceOf(text: string, tokens: number): Piece {
  return { text, json: JSON.stringify(text).slice(1, -1), tokens };
}

const oneToken = (text: string): Piece => pieceOf(text, 1);

export const words: readonly Piece[] = `${common} ${multiByte}`
  .split(' ')
  .map((word) => oneToken(` ${word}`));

/** First words of a text, and first words of its later sentences. */
export const firstOpenings: readonly Piece[] = openings.split(' ').map(oneToken);
export const laterOpenings: readonly Piece[] = openings.split(' ').map((word) => oneToken(` ${word}`));

/** No two marks may follow each other: o200k_base would make one token of them. */
export const comma: Piece = oneToken(',');
export const fullStop: Piece = oneToken('.');
/** Ends a sentence as well, with a character of four bytes in UTF-8 and two in UTF-16. */
export const smile: Piece = oneToken(' 😊');
