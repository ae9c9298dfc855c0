import { html } from './lib.js';
import { Empty, Page } from './ui.js';

export default () => html`<${Page} title="Keys"><${Empty} title="Nothing here yet." /></${Page}>`;
