export declare const ENTRIES: Readonly<Record<string, string>>;
export declare const INTERNAL: Readonly<Record<string, Readonly<Record<string, string> & Record<"types" | "node" | "default", string>>>>;
export declare const PROGRAMS: Readonly<Record<string, string>>;
export declare function outputOf(entry: string): string;
export declare function internalOutputOf(name: string, condition: string): string;
