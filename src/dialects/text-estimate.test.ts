import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { countTokens as countCl100k } from 'gpt-tokenizer/encoding/cl100k_base';
import { countTokens as countO200k } from 'gpt-tokenizer/encoding/o200k_base';
import { describe, expect, test } from 'vitest';
import { TextEstimate } from './text-estimate.ts';

function estimate(...texts: string[]): number {
  const sum = new TextEstimate();
  for (const text of texts) sum.add(text);
  return sum.total();
}

/** What the less favourable of OpenAI's two encodings makes of a text. */
function truth(text: string): number {
  const options = { disallowedSpecial: new Set<string>() };
  return Math.max(countCl100k(text, options), countO200k(text, options));
}

const english =
  'A gateway stands between the people who ask and the machines that answer, and it keeps the books. ' +
  'Every request is weighed before it leaves, so that nobody spends what they do not have. When the answer ' +
  "comes back, it is counted word by word, and the price is written down where it can't be changed. " +
  'Most days nothing goes wrong; on the others, the ledger is what everyone can agree on. It would be easy to ' +
  'round a little here and there, but small errors add up, and customers notice them sooner or later.';

const natural: Readonly<Record<string, string>> = {
  english,
  German:
    'Wer eine Brücke baut, muss wissen, wie viel sie trägt. Die Ingenieure rechneten wochenlang, bevor der erste Stein ' +
    'gesetzt wurde, und prüften danach jede Schweißnaht. Trotzdem blieb eine gewisse Unsicherheit, denn das Hochwasser ' +
    'vom vergangenen Frühjahr hatte die Uferbefestigungen beschädigt.',
  French:
    "Le marché s'installe avant l'aube, quand les rues sont encore vides. Les maraîchers déchargent leurs cageots, " +
    "discutent du temps qu'il a fait, et goûtent déjà les premières fraises. À midi, il ne restera presque plus rien.",
  Spanish:
    'Mi abuela guardaba las cartas en una caja de lata debajo de la cama. Cuando llovía, las leíamos en voz alta y ella ' +
    'corregía los nombres de los pueblos. Nunca supimos quién había escrito la última.',
  Portuguese:
    'O comboio atrasou-se outra vez e ninguém explicou porquê. As crianças jogavam às cartas no chão da estação, enquanto ' +
    'os avós procuravam um café que ainda estivesse aberto àquela hora.',
  Polish:
    'W małym miasteczku nad rzeką mieszkał zegarmistrz, który potrafił naprawić każdy zegar oprócz własnego. Sąsiedzi ' +
    'przychodzili do niego wieczorami, żeby posłuchać opowieści o dalekich podróżach.',
  Finnish:
    'Talvella järvi jäätyy niin paksulti, että sen yli voi ajaa autolla. Kalastajat poraavat reikiä jäähän ja odottavat ' +
    'kärsivällisesti, kunnes siima nykäisee. Illalla lämmitetään sauna ja keitetään kahvia.',
  Turkish:
    'Sabahları vapurla karşıya geçerken martılara simit atardık. Kış geldiğinde güverte boşalır, herkes içeride sıcak çay ' +
    'içerdi. Şimdi köprüden geçiyoruz ama hiçbirimiz o kadar mutlu değiliz.',
  Swahili:
    'Wavuvi waliondoka kabla ya jua kuchomoza, wakiimba nyimbo za zamani. Watoto walibaki ufukweni wakitengeneza nyavu na ' +
    'kusubiri mashua zirudi. Siku hiyo bahari ilikuwa tulivu kuliko kawaida.',
  Vietnamese:
    'Buổi sáng, con phố nhỏ thơm mùi cà phê và bánh mì nóng. Những người bán hàng rong gọi nhau từ đầu ngõ đến cuối ngõ, ' +
    'còn bọn trẻ đạp xe đến trường dưới hàng cây phượng.',
  Russian:
    'Старый маяк давно не работает, но смотритель по-прежнему поднимается наверх каждый вечер. Он протирает стёкла, ' +
    'записывает погоду в журнал и смотрит, как в порт возвращаются рыбацкие лодки.',
  Greek:
    'Το καΐκι έφτασε στο λιμάνι λίγο πριν από την καταιγίδα. Οι ναύτες έδεσαν τα σχοινιά και έτρεξαν στο καφενείο, όπου ' +
    'τους περίμενε ζεστή σούπα.',
  Hebrew:
    'הספרייה נפתחת בשעה שמונה, אבל הקוראים הקבועים מחכים ליד הדלת כבר משבע וחצי. כל אחד מהם יודע היכן יושב האחר.',
  Arabic:
    'في السوق القديم يجلس الخياط أمام دكانه كل صباح، ويحيّي المارة بأسمائهم. يعرف من تزوج ومن سافر ومن عاد.',
  Hindi: 'बारिश के बाद गाँव की पगडंडी पर मिट्टी की सोंधी खुशबू फैल जाती है। बच्चे काग़ज़ की नावें बनाकर नालों में छोड़ते हैं।',
  Bengali: 'নদীর ধারে প্রতিদিন বিকেলে মেলা বসে। মাঝিরা গান গায়, আর দোকানিরা গরম জিলাপি ভাজে।',
  Thai: 'ตอนเช้าตลาดน้ำเต็มไปด้วยเรือลำเล็กที่บรรทุกผักและผลไม้ แม่ค้าร้องเรียกลูกค้าด้วยเสียงดังฟังชัด',
  Georgian: 'მთის სოფელში ზამთარი გრძელია, მაგრამ ხალხი ყოველ საღამოს იკრიბება და სიმღერით ათბობს სახლს.',
  Amharic: 'በጠዋት ቡና ይፈላል፤ ጎረቤቶችም ተሰብስበው ስለ ዝናቡ ያወራሉ።',
  Japanese:
    '駅前の古い本屋は、雨の日になると客でいっぱいになる。店主は黙ってお茶を出し、時計の音だけが静かに響いている。',
  Korean: '할머니는 새벽마다 시장에 나가 가장 싱싱한 생선을 골라 오셨다. 우리는 그 냄새에 잠을 깨곤 했다.',
  Chinese:
    '老城的茶馆清晨五点就开门了。老人们提着鸟笼走进来，各自坐在熟悉的位置上，慢慢地聊起昨天的天气和今天的菜价。',
  'traditional Chinese':
    '巷口的麵店只賣三樣東西，卻從早上排隊排到深夜。老闆說，湯頭的祕密是他祖母留下來的一口鐵鍋。',
};

const noise = createHash('shake256', { outputLength: 6_000 }).update('noise').digest();
const from = (characters: string) =>
  [...noise].map((byte) => [...characters][byte % [...characters].length]).join('');

const other: Readonly<Record<string, string>> = {
  'source code': readFileSync(new URL('./sse.ts', import.meta.url), 'utf8'),
  JSON: JSON.stringify(
    Array.from({ length: 40 }, (_, id) => ({ id, name: `User ${id}`, tags: ['a', 'b'], score: id / 7 })),
  ),
  'indented JSON': JSON.stringify(
    Array.from({ length: 40 }, (_, id) => ({ id, tags: ['a'] })),
    null,
    8,
  ),
  identifiers: 'getUserAccountBalance readStreamUntilClosed maxOutputTokensPerRequest toISOString '.repeat(
    20,
  ),
  base64: noise.toString('base64'),
  hex: noise.toString('hex'),
  digits: from('0123456789'),
  'numbers in columns': from('0123456789 .\n'),
  'random letters': from('abcdefghijklmnopqrstuvwxyz'),
  'random capitals': from('ABCDEFGHIJKLMNOPQRSTUVWXYZ'),
  punctuation: from('!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~'),
  'blanks of all kinds': from(' \n\t\r'),
  spaces: ' '.repeat(3_000),
  newlines: '\n'.repeat(3_000),
  'one letter': 'a'.repeat(3_000),
  emoji: from('😀🔥👍🏽🎉❤️🤷‍♂️🇩🇪👩‍💻🫠'),
  mathematics: from('∑∫√≤≥≠∞∂∇∈⊂∪∀∃αβγ→⇒×÷±'),
  'escaped text': JSON.stringify(natural.Chinese).replace(
    /[^ -~]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16)}`,
  ),
  'special tokens': '<|endoftext|><|im_start|>'.repeat(50),
};

describe('the estimate of a text', () => {
  test.each(Object.entries({ ...natural, ...other }))('%s is not under-estimated', (_, text) => {
    expect(estimate(text)).toBeGreaterThanOrEqual(0.95 * truth(text));
  });

  test('English is over-estimated by half at most', () => {
    expect(estimate(english)).toBeLessThanOrEqual(1.5 * truth(english));
    const report = `${english} `.repeat(30);
    expect(estimate(report)).toBeLessThanOrEqual(1.5 * truth(report));
  });

  test('no text of a common kind is estimated at more than three times its tokens', () => {
    for (const [name, text] of Object.entries({ ...natural, ...other })) {
      // Runs of one character are a token for dozens here, and for a few elsewhere.
      if (['spaces', 'newlines', 'one letter'].includes(name)) continue;
      expect(estimate(text), name).toBeLessThanOrEqual(3 * truth(text));
    }
  });

  test('a language is seen where it changes', () => {
    const [swahili = ''] = [natural.Swahili?.repeat(8)];
    const mixed = english.repeat(8) + swahili;
    expect(estimate(mixed)).toBeGreaterThanOrEqual(0.95 * truth(mixed));
  });

  test('texts are added up, and nothing is nothing', () => {
    expect(estimate()).toBe(0);
    expect(estimate('', '')).toBe(0);
    expect(
      Math.abs(estimate(english, other.digits ?? '') - estimate(english) - estimate(other.digits ?? '')),
    ).toBeLessThanOrEqual(1);
  });
});

/** Long enough for a sample, in which every part has the same mixture. */
const long = (text: string, length = 400_000) => text.repeat(Math.ceil(length / text.length));

describe('the estimate of a prompt too long to be read in full', () => {
  test.each(Object.entries({ ...natural, ...other }))('does not under-estimate %s', (_, text) => {
    const tokens = truth(text) * Math.ceil(400_000 / text.length);
    expect(estimate(long(text))).toBeGreaterThanOrEqual(0.95 * tokens);
  });

  test('comes to what reading it in full does, and a margin that is small where the text is even', () => {
    const report = `${english} ${natural.Russian} ${other.JSON}\n`;
    const ratio = estimate(report.repeat(1_000)) / (estimate(report) * 1_000);
    expect(ratio).toBeGreaterThan(0.97);
    expect(ratio).toBeLessThan(1.25);
    expect(
      estimate(long(english)) / (estimate(english) * (long(english).length / english.length)),
    ).toBeLessThan(1.1);
  });

  test('sees what stands where evenly spaced samples would look away', () => {
    const parts = 256;
    for (const share of [0.1, 0.5]) {
      for (const place of ['start', 'middle', 'end'] as const) {
        const dear = 'ßžœĳ'.repeat(500).slice(0, 2_000 * share);
        const cheap = ' '.repeat(2_000 - dear.length);
        const half = cheap.length / 2;
        const part = {
          start: dear + cheap,
          middle: cheap.slice(half) + dear + cheap.slice(half),
          end: cheap + dear,
        }[place];
        const whole = part.repeat(parts);
        expect(estimate(whole), `${share} at the ${place}`).toBeGreaterThanOrEqual(
          0.95 * parts * estimate(dear),
        );
      }
    }
  });

  test('sees a language that is a small part of it', () => {
    const block = (text: string, length: number) => long(text, length).slice(0, length);
    const mixed = block(english, 300_000) + block(natural.Georgian ?? '', 30_000) + block(english, 100_000);
    const tokens = truth(mixed);
    for (let attempt = 0; attempt < 20; attempt++) {
      expect(estimate(mixed)).toBeGreaterThanOrEqual(0.95 * tokens);
    }
  });

  test('is the same for many short texts as for a long one', () => {
    const words = english.split(' ');
    const texts = Array.from({ length: 30 }, () => words.map((word) => ` ${word}`)).flat();
    expect(texts.length).toBeGreaterThan(2_000);
    const many = Array.from({ length: 20 }, () => texts).flat();
    const ratio = estimate(...many) / estimate(many.join(''));
    expect(ratio).toBeGreaterThan(0.9);
    expect(ratio).toBeLessThan(1.6);
  });

  test('looks elsewhere each time', () => {
    const uneven = long(english, 100_000) + long(other.emoji ?? '', 100_000) + long(english, 100_000);
    expect(new Set(Array.from({ length: 20 }, () => estimate(uneven))).size).toBeGreaterThan(1);
  });
});
