export declare const EXPORTS: Readonly<Record<string, unknown>>;
export declare const IMPORTS: Readonly<Record<string, Readonly<Record<string, string>>>>;
export declare const PATHS: Readonly<Record<string, readonly string[]>>;
