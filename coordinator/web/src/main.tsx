import './style.css';
import 'uplot/dist/uPlot.min.css';
import { render } from 'preact';
import { open } from './state/store.ts';
import { App } from './views/app.tsx';

const root = document.getElementById('app');
if (root !== null) render(<App />, root);
void open();
