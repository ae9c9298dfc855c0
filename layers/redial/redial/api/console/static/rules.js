import { html } from './lib.js';
import { Empty, Page } from './ui.js';

export default () => html`<${Page} title="Rules"><${Empty} title="Nothing here yet." /></${Page}>`;
