export interface ServerSentEvent {
  readonly id: string | undefined;
  readonly kind: string;
  readonly data: string;
}

/** One event of the coordinator is a row of a table; longer is no event. */
const maxEventCharacters = 4 << 20;

/** Reads a text/event-stream; https://html.spec.whatwg.org/multipage/server-sent-events.html, as the coordinator writes it. */
export async function* readServerSentEvents(body: AsyncIterable<Uint8Array>): AsyncGenerator<ServerSentEvent> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const piece of body) {
    text += decoder.decode(piece, { stream: true });
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const event = parseEvent(text.slice(0, end));
      text = text.slice(end + 2);
      if (event !== undefined) yield event;
    }
    if (text.length > maxEventCharacters)
      throw new RangeError(`an event has more than ${maxEventCharacters} characters`);
  }
}

function parseEvent(block: string): ServerSentEvent | undefined {
  const fields = new Map(
    block
      .split('\n')
      .map((line): [string, string] => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]),
  );
  const data = fields.get('data');
  return data === undefined ? undefined : { id: fields.get('id'), kind: fields.get('event') ?? 'message', data };
}
