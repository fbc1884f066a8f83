/** Where a reader draws what the page does not: empty markup out, which ../page/explore.js fills; hidden where no script runs. */
import { html, type Markup } from './markup.ts';

export const exploreSection = (): Markup => html`<section id="explore" class="scripted" hidden><h2>Explore</h2>
<p class="lead">Any figure against any axis of the sweep. The address of this page remembers what you choose.</p>
<div class="group"><div class="controls"></div>
<figure><figcaption><b class="title"></b> <span class="held"></span></figcaption><ul class="legend"></ul>
<p class="missing" hidden>No cell of this choice has that figure.</p>
<div class="plot" role="img" aria-label="The chart of your choice"></div><p class="axis" aria-hidden="true"></p></figure>
<details class="numbers"><summary>The numbers in this chart</summary><div class="scroll table" tabindex="0" role="region" aria-label="The numbers in this chart"></div></details></div>
<div class="group" id="slo"><h3>When does it break, for your limits?</h3><p class="lead">Each load of the sweep, held against a percentile of your choice. Where the scenario has an SLO, its limits stand here at first.</p>
<div class="controls"></div><div class="scroll table" tabindex="0" role="region" aria-label="Loads within the limits"></div></div></section>`;
