/**
 * Gives the pieces of a web stream, by a reader, because not every browser iterates its streams. Cancels the stream when it is left early.
 */
export async function* streamPieces(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = stream.getReader();
  let isOver = false;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      isOver = done;
      if (done) return;
      yield value;
    }
  } finally {
    if (!isOver) await reader.cancel().catch(() => undefined); // the reason for leaving is what the caller gets
  }
}
