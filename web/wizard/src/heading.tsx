/** A page's heading: it takes the focus when the page changes, so that reading and tabbing begin at its top. */

import { createContext, type ReactNode, type RefObject, useContext, useEffect, useRef } from "react";

/** Whether the customer is still on the first page, which must not take focus from whatever opened the wizard. */
const FirstPage = createContext<RefObject<boolean> | null>(null);

export function Headings({ children }: { children: ReactNode }): ReactNode {
  return <FirstPage value={useRef(true)}>{children}</FirstPage>;
}

export function Heading({ children, eyebrow }: { children: ReactNode; eyebrow?: string | null }): ReactNode {
  const heading = useRef<HTMLHeadingElement>(null);
  const first = useContext(FirstPage);
  useEffect(() => {
    if (!first?.current) {
      heading.current?.focus({ preventScroll: true });
      window.scrollTo({ top: 0 });
    }
    return () => {
      if (first) first.current = false;
    };
  }, [first]);
  return (
    <>
      {eyebrow && <p className="eyebrow">{eyebrow}</p>}
      <h1 ref={heading} tabIndex={-1}>
        {children}
      </h1>
    </>
  );
}
