// The shop's routes, and what they say when something is wrong.

/** A refusal: `status`, and the members of its problem document. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ?? `the shop answered ${status}`);
    this.status = status;
    this.problem = problem;
  }
}

/** No answer came: whether the request took effect is not known. */
export class Unanswered extends Error {}

export async function ask(path, { method = "GET", body, headers = {}, signal, within = 10_000 } = {}) {
  const deadline = AbortSignal.timeout(within);
  const request = {
    method,
    headers: body === undefined ? headers : { ...headers, "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: signal ? AbortSignal.any([signal, deadline]) : deadline,
  };
  let response, answer;
  try {
    response = await fetch(path, request);
    answer = response.status === 204 ? {} : await response.json();
  } catch (error) {
    if (signal?.aborted) throw error;
    if (response && !response.ok) throw new Refused(response.status, {});
    throw new Unanswered("the shop does not answer");
  }
  if (!response.ok && !(path === "/healthz")) throw new Refused(response.status, answer);
  return answer;
}

export const post = (path, body, headers) => ask(path, { method: "POST", body, headers });

export const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Whether asking again may help. */
export const mayPass = (error) => error instanceof Unanswered || error.status >= 500;

export function query(params) {
  const search = new URLSearchParams();
  for (const [name, value] of params) if (value !== "" && value !== null && value !== undefined) search.append(name, value);
  return search.toString();
}
