/** What the service answers when it does not do as asked: `{error:{code,message,innererror:{code}}}`. */
export class Answer extends Error {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly error: AnswerBody;

  constructor(status: number, error: AnswerBody, headers: Readonly<Record<string, string>> = {}) {
    super(error.message ?? error.code);
    this.status = status;
    this.error = error;
    this.headers = headers;
  }

  get body(): object {
    const { code, message = "", innerCode } = this.error;
    return { error: { code, message, ...(innerCode !== undefined && { innererror: { code: innerCode } }) } };
  }
}

export interface AnswerBody {
  readonly code: string;
  readonly message?: string;
  readonly innerCode?: string;
}

export function forbidden(innerCode: string, headers: Readonly<Record<string, string>> = {}): Answer {
  return new Answer(403, { code: "Forbidden", message: "The caller may not do this.", innerCode }, headers);
}

export function keyNotFound(): Answer {
  return new Answer(404, { code: "KeyNotFound", message: "A key with this name or version was not found." });
}
