import type { Refusal } from '../../domain/errors.ts';
import type { Usage } from '../../domain/usage.ts';
import type { Countable } from '../../tokenizer/tokenizer.ts';
import type { ClientCall, DialectRequest, UpstreamChanges, UpstreamRequest } from '../dialect.ts';
import { asObject, asText, type JsonObject } from '../json.ts';
import { findMembers, type ObjectMembers, spliceMembers } from '../json-splice.ts';
import {
  type Check,
  invalid,
  isObject,
  isText,
  isWholeNumber,
  numberOrNull,
  type ParsedBody,
  parseBody,
  wrongMember,
} from '../request-body.ts';
import { type Address, readAddress, upstreamPath } from './address.ts';
import { estimateInputTokens } from './estimate.ts';
import { fetchedUnits } from './fetching-tools.ts';
import { groundingUnits } from './grounding.ts';
import { countablePrompt } from './prompt.ts';
import { asList } from './prompt-pieces.ts';
import { serviceTierOf } from './service-tier.ts';
import { ambiguityIn, locate, member, spellingIn, spellingsOf } from './spelling.ts';

/** Google's own limit. */
const mostCandidates = 8;

const generationConfig = 'generationConfig';
const maxOutputTokensName = 'maxOutputTokens';
const countedRequest = 'generateContentRequest';

/** Members that decide what is served and what is charged for it. */
const billingMembers = [
  'model',
  'contents',
  'systemInstruction',
  'tools',
  'cachedContent',
  'serviceTier',
  generationConfig,
];
const watched = spellingsOf([...billingMembers, countedRequest]);
const billingSettings = [maxOutputTokensName, 'candidateCount'];

const isCandidateCount: Check = (value) =>
  isWholeNumber(value) ??
  (Number(value) <= mostCandidates ? null : `must not be more than ${mostCandidates}`);

const checks: Readonly<Record<string, Check>> = {
  generationConfig: isObject,
  'generationConfig.maxOutputTokens': isWholeNumber,
  'generationConfig.candidateCount': isCandidateCount,
  cachedContent: isText,
  serviceTier: isText,
};

function findWrongMember(request: JsonObject): Refusal | null {
  if (asList(request.contents).length === 0) {
    return invalid('"contents" is missing or empty. Send a list of at least one content.', 'contents');
  }
  const config = member(request, generationConfig);
  const settings = asObject(config);
  const values = {
    generationConfig: config,
    'generationConfig.maxOutputTokens': member(settings, maxOutputTokensName),
    'generationConfig.candidateCount': member(settings, 'candidateCount'),
    cachedContent: member(request, 'cachedContent'),
    serviceTier: member(request, 'serviceTier'),
  };
  return wrongMember(values, checks);
}

/** "models/x" and "projects/…/models/x" name the same model as the path's "x". */
function namesModel(name: string, model: string): boolean {
  return name === model || name.endsWith(`/${model}`);
}

/** Google binds the model from the path; another name in the body would be up to who reads it. */
function otherModel(request: JsonObject, model: string): Refusal | null {
  const { model: named } = request;
  if (named === undefined || named === null) return null;
  if (typeof named === 'string' && namesModel(named, model)) return null;
  return invalid(`"model" names another model than the path, which says "${model}". Leave it out.`, 'model');
}

export function readRequest({ path, query, body }: ClientCall): DialectRequest | Refusal {
  const address = readAddress(path, query);
  if (address.kind === 'refused') return address;
  const parsed = parseBody(body, watched, '{"contents": […]}');
  if (parsed.kind === 'refused') return parsed;
  const { value } = parsed;
  const ambiguous =
    ambiguityIn(value, [...billingMembers, countedRequest]) ?? otherModel(value, address.model);
  if (ambiguous !== null) return ambiguous;
  if (address.method === 'countTokens') return new GeminiRequest(body, parsed, address, null);
  const wrong = findWrongMember(value);
  if (wrong !== null) return wrong;
  const settings = locateSettings(body, parsed);
  if (settings !== null && 'code' in settings) return settings;
  return new GeminiRequest(body, parsed, address, settings);
}

/** The settings of a request, where they stand in its bytes. */
interface Settings {
  readonly spelling: string;
  readonly value: JsonObject;
  readonly bytes: Buffer;
  readonly members: ObjectMembers;
}

function locateSettings(body: Buffer, { value, members }: ParsedBody): Settings | Refusal | null {
  const spelling = spellingIn(value, generationConfig);
  const settings = asObject(value[spelling]);
  const span = members.spans.get(spelling);
  if (settings === null || span === undefined) return null;
  const bytes = body.subarray(span.start, span.end);
  const located = locate(bytes, settings, billingSettings);
  return located.kind === 'refused' ? located : { spelling, value: settings, bytes, members: located };
}

export class GeminiRequest implements DialectRequest {
  readonly kind = 'request';
  readonly model: string;
  readonly stream: boolean;
  readonly isFree: boolean;
  readonly estimatedInputTokens: number;
  readonly continues: string | null;
  readonly maxOutputTokens: number | null;
  readonly choices: number;
  readonly units: Usage;
  readonly serviceTier: string | null;
  readonly asksUsage = true;
  readonly unknownMember = null;
  readonly #body: Buffer;
  readonly #value: JsonObject;
  readonly #members: ObjectMembers;
  readonly #address: Address;
  readonly #settings: Settings | null;

  constructor(body: Buffer, { value, members }: ParsedBody, address: Address, settings: Settings | null) {
    this.#body = body;
    this.#value = value;
    this.#members = members;
    this.#address = address;
    this.#settings = settings;
    this.model = address.model;
    this.stream = address.method === 'streamGenerateContent';
    this.isFree = address.method === 'countTokens';
    const given = settings?.value ?? null;
    this.maxOutputTokens = this.isFree ? 0 : numberOrNull(member(given, maxOutputTokensName));
    this.choices = numberOrNull(member(given, 'candidateCount')) ?? 1;
    this.continues = asText(member(value, 'cachedContent'));
    this.serviceTier = serviceTierOf(member(value, 'serviceTier'));
    this.units = this.isFree ? {} : { ...groundingUnits(value, this.model), ...fetchedUnits(value) };
    // What is free is passed on without a hold, so nothing has to be estimated.
    this.estimatedInputTokens = this.isFree ? 0 : estimateInputTokens(value, this.model);
  }

  /** Whether its stream comes as a JSON array, where upstream doesn't say. */
  get asksArray(): boolean {
    return this.stream && !this.#address.asksEvents;
  }

  isStreamed(contentType: string): boolean {
    return this.stream || contentType.includes('text/event-stream');
  }

  callFor({ model, maxOutputTokens }: UpstreamChanges): UpstreamRequest {
    const changes = new Map<string, Buffer | string>();
    if (model !== this.model) this.#rename(model, changes);
    if (maxOutputTokens !== null) this.#capOutput(maxOutputTokens, changes);
    return {
      path: upstreamPath(model, this.#address),
      body: spliceMembers(this.#body, this.#members, changes),
    };
  }

  prompt(): Countable {
    return countablePrompt(this.#value);
  }

  /** The model is in the path; a body may repeat it, and one to count tokens of may have one inside. */
  #rename(model: string, changes: Map<string, Buffer | string>): void {
    const named = this.#renamed(this.#value.model, model);
    if (named !== null) changes.set('model', named);
    const spelling = spellingIn(this.#value, countedRequest);
    const inner = this.#renamed(asObject(this.#value[spelling])?.model, model);
    const span = this.#members.spans.get(spelling);
    if (inner === null || span === undefined) return;
    const bytes = this.#body.subarray(span.start, span.end);
    const members = findMembers(bytes, new Set(['model']));
    if (members.kind === 'members')
      changes.set(spelling, spliceMembers(bytes, members, new Map([['model', inner]])));
  }

  /** As JSON text, with the collection before it that the client named; null where it names no model of ours. */
  #renamed(named: unknown, model: string): string | null {
    if (typeof named !== 'string' || !namesModel(named, this.model)) return null;
    const collection = named.slice(0, named.length - this.model.length);
    return JSON.stringify(collection + model.replace(/^models\//, ''));
  }

  /** Lowers what the client set, where it set something; else writes it, among the other settings. */
  #capOutput(most: number, changes: Map<string, Buffer | string>): void {
    const settings = this.#settings;
    if (settings === null) {
      changes.set(spellingIn(this.#value, generationConfig), JSON.stringify({ [maxOutputTokensName]: most }));
      return;
    }
    if (this.maxOutputTokens !== null && this.maxOutputTokens <= most) return;
    const change = new Map([[spellingIn(settings.value, maxOutputTokensName), String(most)]]);
    changes.set(settings.spelling, spliceMembers(settings.bytes, settings.members, change));
  }
}
