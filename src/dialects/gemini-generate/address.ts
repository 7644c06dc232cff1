import { type Refusal, refusal } from '../../domain/errors.ts';
import { withoutSecrets } from '../../domain/secret-parameters.ts';
import { invalid, wrongModel } from '../request-body.ts';

/** Google's own clients differ in the version that they take by default: v1beta for long, and v1 of late. */
const versions = ['v1beta', 'v1', 'v1alpha'] as const;

export const paths = versions.map((version) => `/${version}/models/*`);

const modelPath = new RegExp(`^/(${versions.join('|')})/models/(.*)$`, 's');

const methods = ['generateContent', 'streamGenerateContent', 'countTokens'] as const;
export type Method = (typeof methods)[number];

/** What the path and the query of a call ask for. */
export interface Address {
  readonly kind: 'address';
  /** Of the API, as the client chose it: upstream has the same ones. */
  readonly version: string;
  readonly model: string;
  readonly method: Method;
  /** What goes on to upstream, without a question mark. */
  readonly query: string;
  /** Whether a stream is asked for as server-sent events; else it is a JSON array, sent piece by piece. */
  readonly asksEvents: boolean;
}

/** They leave out parts of the answer, its usage among them, or wrap it into something that isn't JSON. */
const hidingParameters = ['fields', '$fields', 'callback', '$callback'];

const formatParameters = ['alt', '$alt'];
const meteredFormat = /^(json|sse)(;enum-encoding=int)?$/;

export function readAddress(path: string, query: URLSearchParams): Address | Refusal {
  const [, version = '', rest = ''] = modelPath.exec(path) ?? [];
  const colon = rest.lastIndexOf(':');
  const method = methods.find((name) => name === rest.slice(colon + 1));
  if (colon === -1 || method === undefined) return unknownMethod(path);
  const model = rest.slice(0, colon);
  const refused = wrongModel(model) ?? wrongParameter(query);
  if (refused !== null) return refused;
  return {
    kind: 'address',
    version,
    model,
    method,
    query: withoutSecrets(query).toString(),
    asksEvents: asksEvents(query),
  };
}

function unknownMethod(path: string): Refusal {
  const known = methods.map((method) => `/v1beta/models/{model}:${method}`).join(', ');
  return refusal('NOT_FOUND', `There is no POST ${path} here. There are ${known}.`);
}

function formatsOf(query: URLSearchParams): string[] {
  return formatParameters.flatMap((name) => query.getAll(name));
}

function asksEvents(query: URLSearchParams): boolean {
  return formatsOf(query).some((format) => format.startsWith('sse'));
}

/** An answer that can't be read can't be metered, so it isn't asked for. */
function wrongParameter(query: URLSearchParams): Refusal | null {
  const hiding = hidingParameters.find((name) => query.has(name));
  if (hiding !== undefined) {
    return invalid(`The parameter "${hiding}" isn't served here: it may hide what was used.`, hiding);
  }
  const format = formatsOf(query).find((value) => !meteredFormat.test(value));
  if (format === undefined) return null;
  return invalid(`The parameter "alt" must be "json" or "sse", not "${format.slice(0, 40)}".`, 'alt');
}

/** Below a base URL without a version. A tuned model has a collection of its own, which its name starts with. */
export function upstreamPath(model: string, { version, method, query }: Address): string {
  const resource = /^(tunedModels|models)\//.test(model) ? model : `models/${model}`;
  const encoded = resource.split('/').map(encodeURIComponent).join('/');
  return `/${version}/${encoded}:${method}${query === '' ? '' : `?${query}`}`;
}
