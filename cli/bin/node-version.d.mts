/** What to tell somebody whose Node is too old, or undefined where it is not. */
export declare const nodeComplaint: (version: string) => string | undefined;
