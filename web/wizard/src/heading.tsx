/** A page's heading: it takes the focus when the page changes, so that reading and tabbing begin at its top. */

import { type ReactNode, useEffect, useRef } from "react";

/** The first page must not take focus from whatever opened the wizard. */
let firstPage = true;

export function Heading({ children, eyebrow }: { children: ReactNode; eyebrow?: string | null }): ReactNode {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    if (!firstPage) {
      heading.current?.focus({ preventScroll: true });
      window.scrollTo({ top: 0 });
    }
    return () => {
      firstPage = false;
    };
  }, []);
  return (
    <>
      {eyebrow && <p className="eyebrow">{eyebrow}</p>}
      <h1 ref={heading} tabIndex={-1}>
        {children}
      </h1>
    </>
  );
}
