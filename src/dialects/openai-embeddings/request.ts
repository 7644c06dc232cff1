import type { Refusal } from '../../domain/errors.ts';
import type { Countable } from '../../tokenizer/tokenizer.ts';
import type { ClientCall, DialectRequest, UpstreamChanges, UpstreamRequest } from '../dialect.ts';
import { asText } from '../json.ts';
import { spliceMembers } from '../json-splice.ts';
import { readInputs } from '../openai/inputs.ts';
import { type Check, isText, type ParsedBody, parseBody, wrongMember, wrongModel } from '../request-body.ts';
import { countablePrompt, type EmbeddingInput, embeddingInput, estimateInputs } from './input.ts';

/** Members that decide what is served and what is charged for it. */
const billingMembers: ReadonlySet<string> = new Set(['model', 'input', 'service_tier']);

const checks: Readonly<Record<string, Check>> = { service_tier: isText };

export function readRequest({ body }: ClientCall): DialectRequest | Refusal {
  const parsed = parseBody(body, billingMembers, '{"model": …, "input": …}');
  if (parsed.kind === 'refused') return parsed;
  const wrong = wrongModel(parsed.value.model) ?? wrongMember(parsed.value, checks);
  if (wrong !== null) return wrong;
  const inputs = readInputs(parsed.value.input, 'input', embeddingInput);
  return inputs.kind === 'refused' ? inputs : new EmbeddingsRequest(body, parsed, inputs.list);
}

/** Nothing is generated, so the input is all there is to hold and to charge. */
class EmbeddingsRequest implements DialectRequest {
  readonly kind = 'request';
  readonly model: string;
  readonly stream = false;
  readonly isFree = false;
  readonly continues = null;
  readonly estimatedInputTokens: number;
  readonly maxOutputTokens = 0;
  readonly choices = 1;
  readonly units = {};
  readonly serviceTier: string | null;
  readonly asksUsage = false;
  /** Providers add members of their own (`input_type`, `truncation`, `task`): none changes what a token costs. */
  readonly unknownMember = null;
  readonly #body: Buffer;
  readonly #parsed: ParsedBody;
  readonly #inputs: readonly EmbeddingInput[];

  constructor(body: Buffer, parsed: ParsedBody, inputs: readonly EmbeddingInput[]) {
    this.#body = body;
    this.#parsed = parsed;
    this.#inputs = inputs;
    this.model = String(parsed.value.model);
    this.serviceTier = asText(parsed.value.service_tier);
    this.estimatedInputTokens = estimateInputs(inputs, this.model);
  }

  isStreamed(): boolean {
    return false;
  }

  callFor({ model }: UpstreamChanges): UpstreamRequest {
    const changes = new Map<string, string>();
    if (model !== this.model) changes.set('model', JSON.stringify(model));
    return { path: '/embeddings', body: spliceMembers(this.#body, this.#parsed.members, changes) };
  }

  prompt(): Countable {
    return countablePrompt(this.#inputs);
  }
}
