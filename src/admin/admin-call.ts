import type { z } from 'zod';
import type { CatalogStore, DialectName } from '../catalog/catalog.ts';
import type { Clock } from '../domain/clock.ts';
import type { Refusal } from '../domain/errors.ts';
import type { IdSource } from '../domain/ids.ts';
import type { HotState } from '../hot-state/hot-state.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { idempotencyKey, members, readPart, type Valid } from './validation.ts';

/** What every resource of the admin plane works with. */
export interface AdminDependencies {
  readonly catalog: CatalogStore;
  /** The wire formats that an upstream may speak. */
  readonly dialectNames: readonly DialectName[];
  readonly ledger: Ledger;
  readonly hotState: HotState;
  readonly clock: Clock;
  /** Makes UUIDv7: transactions are listed by them. */
  readonly newId: IdSource;
  /** Told when hot state couldn't take a change that the ledger holds already. */
  readonly onProjectionFailed: (error: unknown) => void;
}

export type Json = string | number | boolean | null | readonly Json[] | { readonly [member: string]: Json };

/** A request as any web framework can hand it over: nothing in it has been checked. */
export interface AdminRequest {
  readonly params: unknown;
  readonly query: unknown;
  readonly body: unknown;
  readonly idempotencyKey: string | null;
  /** The name of the admin who asks. */
  readonly actor: string;
}

/** The same whether it was done now or by an earlier request that this one repeats. */
export interface Created {
  readonly kind: 'created';
  readonly body: Json;
}

export interface Ok {
  readonly kind: 'ok';
  readonly body: Json;
}

export type AdminAnswer = Ok | Created | Refusal;

export interface AdminCall {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Below the plane's root. `{id}` is one segment; `{+model}` is all the rest, slashes included (RFC 6570). */
  readonly path: string;
  /** Whether what the data plane reads of the catalogue may differ afterwards. */
  readonly changesCatalog: boolean;
  /** @throws Fault as the stores do. */
  handle(request: AdminRequest): Promise<AdminAnswer>;
}

/** A request whose every part is valid. */
interface ValidRequest<Params, Query, Body> {
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  readonly idempotencyKey: string | null;
  readonly actor: string;
}

type NoMembers = Readonly<Record<string, never>>;

interface CallDefinition<Params, Query, Body> {
  readonly method: AdminCall['method'];
  readonly path: string;
  readonly changesCatalog?: boolean;
  /** Absent where the path has none. */
  readonly params?: z.ZodType<Params>;
  /** Absent where none is taken. */
  readonly query?: z.ZodType<Query>;
  /** Absent where none is read. */
  readonly body?: z.ZodType<Body>;
  handle(request: ValidRequest<Params, Query, Body>): Promise<AdminAnswer>;
}

const noMembers = members({});

/** A call that sees only valid requests; others are refused before it, naming the member at fault. */
export function adminCall<Params = NoMembers, Query = NoMembers, Body = undefined>(
  definition: CallDefinition<Params, Query, Body>,
): AdminCall {
  const { method, path, changesCatalog = false } = definition;
  const handle = async (request: AdminRequest): Promise<AdminAnswer> => {
    const params = readPart('path', schemaOf(definition.params), request.params);
    if (params.kind === 'refused') return params;
    const query = readPart('query', schemaOf(definition.query), request.query);
    if (query.kind === 'refused') return query;
    const body = readBody(definition.body, request.body);
    if (body.kind === 'refused') return body;
    const key = readPart('header', idempotencyKey, request.idempotencyKey);
    if (key.kind === 'refused') return key;
    return await definition.handle({
      params: params.value,
      query: query.value,
      body: body.value,
      idempotencyKey: key.value,
      actor: request.actor,
    });
  };
  return { method, path, changesCatalog, handle };
}

/** Without a schema the type is `NoMembers`, which is what is then read. */
function schemaOf<T>(schema: z.ZodType<T> | undefined): z.ZodType<T> {
  return schema ?? (noMembers as unknown as z.ZodType<T>);
}

/** Without a schema the type is undefined, and a body that came all the same is left unread. */
function readBody<T>(schema: z.ZodType<T> | undefined, input: unknown): Valid<T> | Refusal {
  if (schema === undefined) return { kind: 'valid', value: undefined as T };
  return readPart('body', schema, input);
}

export function ok(body: Json): Ok {
  return { kind: 'ok', body };
}

export function created(body: Json): Created {
  return { kind: 'created', body };
}
