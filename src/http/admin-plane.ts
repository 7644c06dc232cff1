import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import type { AdminCall } from '../admin/admin-call.ts';
import type { CatalogStore } from '../catalog/catalog.ts';
import { Fault, type Refusal, refusal } from '../domain/errors.ts';
import { hashSecret, type IdSource } from '../domain/ids.ts';
import { permitBody } from './expect.ts';
import { statusOf } from './status.ts';

export interface AdminPlaneOptions {
  readonly calls: readonly AdminCall[];
  /** Asked for every request, so cached. */
  readonly admins: Pick<CatalogStore, 'findAdmin'>;
  /** Makes the reference that ties an answer to its line in the log. */
  readonly newId: IdSource;
  /** Told what made a call fail that was in order. */
  readonly onFault: (what: string, error: unknown) => void;
  /** Called after each change of the catalogue, before its answer goes out. */
  readonly onCatalogChange: () => void;
}

const root = '/admin/v1';
const bodyLimitBytes = 1024 * 1024;
const maxIdLength = 128;

/** The admin plane below `/admin/v1`. Errors are `{"error": {"code", "message", "param"?}}`. */
export function adminPlane(options: AdminPlaneOptions): FastifyPluginAsync {
  return async (app) => {
    const { maxParamLength = 0 } = app.initialConfig.routerOptions ?? {};
    if (maxParamLength < maxIdLength) {
      throw new Error(`the admin plane's ids need a maxParamLength of ${maxIdLength} at least`);
    }
    await app.register(async (plane) => mount(plane, options), { prefix: root });
  };
}

function mount(plane: FastifyInstance, options: AdminPlaneOptions): void {
  const { calls, admins, onCatalogChange } = options;
  const actors = new WeakMap<FastifyRequest, string>();

  takeJsonOnly(plane);
  // Before the body is read: who isn't an admin sends none.
  plane.addHook('onRequest', async (request, reply) => {
    const name = await findActor(admins, request.headers.authorization);
    if (name === undefined) return sendRefusal(reply, unauthenticated);
    actors.set(request, name);
  });
  plane.addHook('preParsing', (request, reply, payload, done) => {
    permitBody(request, reply);
    done(null, payload);
  });
  plane.setNotFoundHandler((request, reply) =>
    sendRefusal(
      reply,
      refusal('NOT_FOUND', `There is no ${request.method} ${request.url.split('?', 1)[0]} in the admin API.`),
    ),
  );
  plane.setErrorHandler((error, _, reply) => sendError(reply, error, options));

  for (const call of calls) {
    plane.route({
      method: call.method,
      url: urlOf(call.path),
      bodyLimit: bodyLimitBytes,
      handler: async (request, reply) => {
        const actor = actors.get(request);
        if (actor === undefined) throw new Error('a request came by without authentication');
        const answer = await answerOf(call, request, actor).finally(() => {
          // Also after a failure: whether the change was made is unknown then.
          if (call.changesCatalog) onCatalogChange();
        });
        if (answer.kind === 'refused') return sendRefusal(reply, answer);
        return reply.code(answer.kind === 'created' ? 201 : 200).send(answer.body);
      },
    });
  }
}

const unauthenticated = refusal(
  'API_KEY_INVALID',
  'Send an admin token in the header `Authorization: Bearer <admin token>`. The gateway printed it once, on its first start, unless ADMIN_TOKEN set it.',
);

async function findActor(
  admins: AdminPlaneOptions['admins'],
  authorization: string | undefined,
): Promise<string | undefined> {
  const token = /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
  return token === undefined ? undefined : await admins.findAdmin(hashSecret(token));
}

async function answerOf(call: AdminCall, request: FastifyRequest, actor: string) {
  const key = request.headers['idempotency-key'];
  return await call.handle({
    params: paramsOf(call.path, request.params),
    query: request.query,
    body: request.body,
    idempotencyKey: typeof key === 'string' ? key : null,
    actor,
  });
}

/** `{id}` and `{+model}` in the router's own terms. */
function urlOf(path: string): string {
  return path.replace(/\{\+\w+\}$/, '*').replace(/\{(\w+)\}/g, ':$1');
}

/** The router calls the rest of a path "*". */
function paramsOf(path: string, params: unknown): unknown {
  const rest = /\{\+(\w+)\}$/.exec(path)?.[1];
  if (rest === undefined) return params;
  const { '*': value, ...others } = params as Record<string, string>;
  return { ...others, [rest]: value };
}

/** A body without content is none, whatever its type says: clients send one with DELETE. */
function takeJsonOnly(plane: FastifyInstance): void {
  const parse = plane.getDefaultJsonParser('error', 'error');
  plane.removeAllContentTypeParsers();
  plane.addContentTypeParser<string>('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null, undefined);
    else parse(request, body, done);
  });
}

function sendRefusal(
  reply: FastifyReply,
  { code, message, param, retryAfterSeconds }: Refusal,
): FastifyReply {
  if (retryAfterSeconds !== undefined) reply.header('retry-after', String(retryAfterSeconds));
  return reply
    .code(statusOf[code])
    .send({ error: { code, message, ...(param === undefined ? {} : { param }) } });
}

function sendError(
  reply: FastifyReply,
  error: unknown,
  { newId, onFault }: Pick<AdminPlaneOptions, 'newId' | 'onFault'>,
): FastifyReply {
  const unreadable = refusalOfUnreadable(error);
  if (unreadable !== undefined) return sendRefusal(reply, unreadable);
  if (error instanceof Fault && error.code !== 'INTERNAL') {
    onFault('an admin call failed', error);
    return sendRefusal(reply, refusal(error.code, error.message));
  }
  const reference = newId();
  onFault('an admin call failed unexpectedly', new Error(`reference ${reference}`, { cause: error }));
  return sendRefusal(
    reply,
    refusal(
      'INTERNAL',
      `Something went wrong in the gateway, whether before or after the change is unknown: look before you repeat it. Its log has the details under the reference ${reference}.`,
    ),
  );
}

/** What the framework could not read: its own errors, all of which are the client's to mend. */
function refusalOfUnreadable(error: unknown): Refusal | undefined {
  const { code, statusCode } = error as { code?: string; statusCode?: number };
  switch (code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return refusal('REQUEST_TOO_LARGE', `The body is larger than ${bodyLimitBytes} bytes.`);
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return refusal(
        'REQUEST_INVALID',
        'Send the body as JSON, with the header `content-type: application/json`.',
      );
    default:
      return statusCode !== undefined && statusCode >= 400 && statusCode < 500
        ? refusal('REQUEST_INVALID', 'The body could not be read as JSON.')
        : undefined;
  }
}
