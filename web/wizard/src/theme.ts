/** The wizard's look in Mantine's terms. Where Mantine's own greys and reds are below 4.5 to 1, they are replaced. */

import {
  type CSSVariablesResolver,
  createTheme,
  defaultVariantColorsResolver,
  type MantineColorsTuple,
  type VariantColorsResolver,
} from "@mantine/core";
import { brandVariables, type Look } from "./brand";

const bridge: MantineColorsTuple = [
  "#eef1fd",
  "#dbe2fa",
  "#b5c3f4",
  "#8fa6ff",
  "#6c87ea",
  "#5774e6",
  "#4262dd",
  "#3457d5",
  "#2b49b8",
  "#22398f",
];

/** Mantine's dark scale is a neutral grey; ours leans to the brand's blue, text first, ground last. */
const slate: MantineColorsTuple = [
  "#eceef5",
  "#c8cddb",
  "#a9afc1",
  "#7d849a",
  "#4a5064",
  "#353a4b",
  "#232735",
  "#1b1e29",
  "#12141c",
  "#0d0f15",
];

/** In the dark scheme the brand colour is light: what is written on it must be dark. */
const variantColors: VariantColorsResolver = (input) => {
  const colors = defaultVariantColorsResolver(input);
  return input.variant === "filled" ? { ...colors, color: "var(--on-brand)" } : colors;
};

export const theme = createTheme({
  primaryColor: "bridge",
  primaryShade: { light: 7, dark: 3 },
  colors: { bridge, dark: slate },
  variantColorResolver: variantColors,
  defaultRadius: "md",
  cursorType: "pointer",
  fontFamily: 'system-ui, -apple-system, "Segoe UI", Inter, Roboto, "Helvetica Neue", sans-serif',
  fontFamilyMonospace: "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace",
  respectReducedMotion: true,
  components: {
    Checkbox: { defaultProps: { iconColor: "var(--on-brand)" } },
    Radio: { defaultProps: { iconColor: "var(--on-brand)" } },
    // The star is drawn by the style sheet: as text it would be part of the field's name.
    InputWrapper: {
      defaultProps: { inputWrapperOrder: ["label", "description", "input", "error"], withAsterisk: false },
    },
  },
});

/** What an integrator's colour changes comes last, over everything of ours. */
export function variablesFor({ brand }: Look): CSSVariablesResolver {
  return (theme) => {
    const { variables: shared, light, dark } = variables(theme);
    if (!brand) return { variables: shared, light, dark };
    return {
      variables: shared,
      light: { ...light, ...brandVariables(brand, "light") },
      dark: { ...dark, ...brandVariables(brand, "dark") },
    };
  };
}

const variables: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    "--mantine-color-body": "#ffffff",
    "--mantine-color-text": "#1a1d29",
    "--mantine-color-dimmed": "#5b6172",
    "--mantine-color-error": "#b3261e",
    "--mantine-color-placeholder": "#686e7f",
    "--mantine-color-anchor": "#2b49b8",
    "--mantine-color-default-border": "#858b9c",
  },
  dark: {
    "--mantine-color-text": "#eceef5",
    "--mantine-color-dimmed": "#a9afc1",
    "--mantine-color-error": "#ff9d96",
    "--mantine-color-placeholder": "#969db1",
    "--mantine-color-anchor": "#a9baff",
    "--mantine-color-default-border": "#7d849a",
  },
});
