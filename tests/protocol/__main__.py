"""`make protocol`: search the models, and write steps.txt and the marked part of docs/protocol.md."""

from tests.protocol import document, traces

if __name__ == "__main__":
    traces.STEPS.write_text(traces.kept(traces.of_model()), encoding="utf-8")
    document.PAGE.write_text(document.with_results(document.PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(document.results())
