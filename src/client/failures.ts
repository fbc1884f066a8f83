/**
 * Names for what goes wrong on the wire: an HTTP status, or an error of undici or a socket in some phase of a request.
 *
 * Codes come from Node's system errors, OpenSSL's as Node names them, and undici's `UND_ERR_*`; its HTTP parser's errors
 * have a name and no code.
 */
import type { RequestError } from '../result/schema.ts';

/** How far a request had come. */
export type Phase = 'connecting' | 'sent' | 'headers' | 'content';

const NAMED_STATUS = new Set([400, 401, 403, 404, 422, 429, 500, 503]);

export const errorOfStatus = (status: number): RequestError =>
  NAMED_STATUS.has(status) ? (`http_${status}` as RequestError) : 'http_other';

export function errorOfFailure(failure: Error, phase: Phase): RequestError {
  const code = codeOf(failure);
  if (phase === 'connecting') {
    if (ownLimitOf(failure) !== null) return 'client_limit';
    if (code === 'ECONNREFUSED') return 'connect_refused';
    return code === 'UND_ERR_CONNECT_TIMEOUT' || code === 'ETIMEDOUT' ? 'connect_timeout' : 'connect_failed';
  }
  if (isNotHttp(failure)) return 'bad_body';
  return phase === 'sent' ? 'reset_before_headers' : 'reset_mid_stream';
}

/** Other bytes, broken chunk framing, or headers of more than Node takes (16 KiB); not a body that ended with its connection. */
const isNotHttp = (failure: Error): boolean =>
  codeOf(failure) === 'UND_ERR_HEADERS_OVERFLOW' ||
  (failure.name === 'HTTPParserError' && !failure.message.includes('Invalid EOF state'));

const OWN_LIMITS: Readonly<Record<string, OwnLimit>> = {
  EMFILE: { is: "this machine's limit of open files is too low", remedy: 'raise it: ulimit -n' },
  ENFILE: {
    is: "this machine's limit of open files is too low",
    remedy: 'raise it for the system: sysctl fs.file-max',
  },
  EADDRNOTAVAIL: {
    is: 'this machine has too few free ports, or no address that reaches the server',
    remedy: 'widen net.ipv4.ip_local_port_range, or measure with less load',
  },
};

export interface OwnLimit {
  /** Goes on with "for so many connections". */
  is: string;
  remedy: string;
}

/**
 * What this machine lacks, where that kept a connection from being opened: nothing a server could be blamed for. null for
 * every other failure, also where only one of several addresses failed so (a host without IPv6 that tries ::1 first).
 */
export function ownLimitOf(failure: unknown): OwnLimit | null {
  if (failure instanceof AggregateError) {
    const limits = failure.errors.map(ownLimitOf);
    return limits.every((limit) => limit !== null) ? (limits[0] ?? null) : null;
  }
  return failure instanceof Error ? (OWN_LIMITS[codeOf(failure)] ?? null) : null;
}

/** A socket's error in words; Node puts those of several addresses into one AggregateError without a message. */
export function wordsOfFailure(failure: Error): string {
  const inner =
    failure instanceof AggregateError ? failure.errors.find((e): e is Error => e instanceof Error) : undefined;
  const plain = failure.message || inner?.message || failure.name;
  const code = codeOf(failure);
  const words = code === '' || plain.includes(code) ? plain : `${plain} (${code})`;
  const own = ownLimitOf(failure);
  if (own !== null) return `${own.is} for another connection (${words}); ${own.remedy}`;
  const hint = TLS_HINTS.find(([codes]) => codes.test(code))?.[1];
  return hint === undefined ? words : `${words}; ${hint}`;
}

/** What may be done about a TLS handshake that failed. */
const TLS_HINTS: readonly (readonly [RegExp, string])[] = [
  [
    /SELF_SIGNED|UNABLE_TO_(GET_ISSUER|VERIFY)|^CERT_(UNTRUSTED|SIGNATURE)/,
    "this machine does not trust the server's certificate: set NODE_EXTRA_CA_CERTS to the PEM file of its authority",
  ],
  [/^CERT_HAS_EXPIRED$|^CERT_NOT_YET_VALID$/, "renew the server's certificate, or set this machine's clock"],
  [/^ERR_TLS_CERT_ALTNAME_INVALID$/, 'use a host name that the certificate names'],
  [/^EPROTO$|^ERR_SSL_/, 'does the server speak https at this port?'],
];

export const TIMEOUT_OF_PHASE: Record<Phase, RequestError> = {
  connecting: 'connect_timeout',
  sent: 'headers_timeout',
  headers: 'first_content_timeout',
  content: 'total_timeout',
};

const codeOf = (failure: Error): string => {
  const { code } = failure as { code?: unknown };
  return typeof code === 'string' ? code : '';
};
