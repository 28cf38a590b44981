/** Entry of the widget's bundle: defines `<portal-integrations>`, once, however often the script is loaded. */

import { PortalIntegrations } from "./element";

if (!customElements.get("portal-integrations")) customElements.define("portal-integrations", PortalIntegrations);

export { PortalIntegrations };
