/** What the admin sees of the program that coordinates. */
export const version = '0.1.0';
