// the bundler collects what is imported as CSS into one style sheet
declare module '*.css';
