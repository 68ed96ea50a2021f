import type { ErrorView } from '@weft/shared';

/** What is told to the admin: what happened and what to do. The code is the catalogue's, where the coordinator answered. */
export interface Problem {
  readonly message: string;
  readonly todo: string;
  readonly code?: string;
}

export class RequestError extends Error {
  override readonly name = 'RequestError';
  readonly status: number;
  readonly problem: Problem;

  constructor(status: number, problem: Problem) {
    super(problem.message);
    this.status = status;
    this.problem = problem;
  }
}

const unreachable: Problem = {
  message: 'The coordinator does not answer.',
  todo: 'See that `weft coordinator start` is running on its machine. This page tries again by itself.',
};

const isErrorView = (body: unknown): body is ErrorView =>
  typeof body === 'object' && body !== null && 'message' in body && 'todo' in body && 'code' in body;

export const toProblem = (error: unknown): Problem =>
  error instanceof RequestError
    ? error.problem
    : { message: error instanceof Error ? error.message : String(error), todo: 'Reload the page.' };

/** The coordinator's answer as an error, whatever its body is. */
export const readRefusal = async (response: Response): Promise<RequestError> => {
  const body: unknown = await response.json().catch(() => undefined);
  if (isErrorView(body)) return new RequestError(response.status, body);
  return new RequestError(response.status, {
    message: `The coordinator answered ${response.status}${response.statusText === '' ? '' : ` ${response.statusText}`}.`,
    todo: 'Reload the page; if it comes again, read the log of the coordinator.',
  });
};

export const fetchOrThrow = async (path: string, init: RequestInit): Promise<Response> => {
  try {
    return await fetch(path, { credentials: 'same-origin', cache: 'no-store', ...init });
  } catch (error) {
    if (init.signal?.aborted === true) throw error;
    throw new RequestError(0, unreachable);
  }
};

/** @throws RequestError for every answer that is not a success */
export const request = async <Answer>(method: 'GET' | 'POST', path: string, body?: unknown): Promise<Answer> => {
  const response = await fetchOrThrow(path, {
    method,
    ...(body !== undefined && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  });
  if (!response.ok) throw await readRefusal(response);
  const text = await response.text();
  return (text === '' ? undefined : JSON.parse(text)) as Answer;
};
