"""The demo: one command from a fresh checkout to ten real digits recognised through the gateway.

Starts Stagezero, makes a small mnist model with TensorFlow, applies the KServe article's YAML as it
is (a mirror stands in for its bucket), waits until it is Ready, and sends digits by host name. Only
the command line of Stagezero is used: what this script does can be typed.
"""

import argparse
import http.client
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

Image = Sequence[Sequence[int]]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WORK = ROOT / ".stagezero"
BUCKET = WORK / "bucket"
MODEL = BUCKET / "models" / "mnist"
YAML = HERE / "mnist_tensorflow.yaml"
STAGEZERO = Path(sys.executable).parent / "stagezero"
SHADES = " .:-=+*#%@"
DIGITS = 10
CHOSEN = WORK / "digits.json"


def main() -> int:
    """Run the demo; returns 0 if every step worked and most digits were recognised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stop", action="store_true", help="stop everything at the end")
    options = parser.parse_args()
    started = time.monotonic()
    os.environ.setdefault("STAGEZERO_STATE", str(WORK / "state"))
    step("1/5", "the environment of tensorflow/serving (built once; a download of some 300 MB)")
    python = stagezero("env", "build", "tensorflow/serving:2.6.2").strip().splitlines()[-1]
    step("2/5", "a small mnist model, trained on real digits (made once)")
    make_model(python)
    step("3/5", "stagezero up: API server, gateway and controllers")
    if is_up():
        say("it is up already")
    else:
        say(stagezero("up", "--detach", "--mirror", f"gs://kserve/={BUCKET.as_uri()}/").rstrip())
    step("4/5", f"stagezero apply -f {YAML.relative_to(ROOT)}, as the article has it")
    say(stagezero("apply", "-f", str(YAML)).rstrip())
    stagezero("wait", "isvc", "mnist", "--timeout", "240")
    say(stagezero("get", "isvc").rstrip())
    step("5/5", "ten digits that the model has never seen")
    right = recognise(python)
    say(f"{right} of {DIGITS} recognised; {time.monotonic() - started:.0f} s in all.")
    farewell()
    if options.stop:
        say(stagezero("down").rstrip())
    return 0 if right >= DIGITS - 2 else 1


def step(number: str, what: str) -> None:
    """Announce a step."""
    is_terminal = sys.stdout.isatty()
    bold, plain = ("\033[1m", "\033[0m") if is_terminal else ("", "")
    say(f"\n{bold}[{number}] {what}{plain}")


def say(text: str) -> None:
    """Print at once, so that progress of child processes comes in order."""
    print(text, flush=True)


def stagezero(*words: str) -> str:
    """Run a command of Stagezero; its progress goes to the terminal, its answer comes back."""
    done = subprocess.run([str(STAGEZERO), *words], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        say(done.stdout)
        raise SystemExit(f"`stagezero {' '.join(words)}` failed; its message is above")
    return done.stdout


def is_up() -> bool:
    """Whether the demo's installation runs already."""
    done = subprocess.run([str(STAGEZERO), "status"], capture_output=True, check=False)
    return done.returncode == 0


def make_model(python: str) -> None:
    """Train and export the model with the environment that will serve it, unless it is there."""
    if (MODEL / "1" / "saved_model.pb").exists():
        say(f"{MODEL.relative_to(ROOT)} is there")
        return
    maker = ROOT / "examples" / "models" / "make_mnist_tensorflow.py"
    MODEL.mkdir(parents=True, exist_ok=True)
    subprocess.run([python, str(maker), str(MODEL)], check=True)


def recognise(python: str) -> int:
    """Send ten digits, show each with its probabilities; returns how many were right."""
    picker = HERE / "pick_digits.py"
    subprocess.run([python, str(picker), str(CHOSEN), str(DIGITS)], check=True)
    gateway, host = addresses()
    right = 0
    for digit in json.loads(CHOSEN.read_text()):
        probabilities = ask(gateway, host, digit["image"])
        right += verdict_of(probabilities) == digit["label"]
        show(digit["image"], probabilities, digit["label"])
    return right


def addresses() -> tuple[str, str]:
    """The gateway's address and the service's host, from the objects that say so."""
    service = json.loads(
        stagezero("get", "svc", "istio-ingressgateway", "-n", "istio-system", "-o", "json")
    )
    port = next(port["port"] for port in service["spec"]["ports"] if port["name"] == "http2")
    address = service["status"]["loadBalancer"]["ingress"][0]["ip"]
    isvc = json.loads(stagezero("get", "isvc", "mnist", "-o", "json"))
    return f"{address}:{port}", urlsplit(isvc["status"]["url"]).netloc


def body_of(image: Image) -> str:
    """The request's body: one instance of 28 × 28 floats from 0 to 1."""
    return json.dumps({"instances": [[[round(value / 255, 4) for value in row] for row in image]]})


def ask(gateway: str, host: str, image: Image) -> list[float]:
    """Send one digit through the gateway by the service's host name."""
    connection = http.client.HTTPConnection(gateway, timeout=60)
    headers = {"Host": host, "Content-Type": "application/json"}
    connection.request("POST", "/v1/models/mnist:predict", body_of(image), headers)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    if answer.status != 200:
        raise SystemExit(f"the gateway answered {answer.status}: {body}")
    probabilities: list[float] = json.loads(body)["predictions"][0]
    return probabilities


def verdict_of(probabilities: Sequence[float]) -> int:
    """The likeliest digit."""
    return max(range(len(probabilities)), key=lambda digit: probabilities[digit])


def show(image: Image, probabilities: Sequence[float], label: int) -> None:
    """Print a digit's picture in characters beside its ten probabilities and the verdict."""
    rows = ["".join(SHADES[value * len(SHADES) // 256] * 2 for value in row) for row in image]
    rows = [row for row in rows if row.strip()]
    verdict = verdict_of(probabilities)
    mark = "right" if verdict == label else f"wrong, it is a {label}"
    facts = [f"{digit}  {p:8.5f}  {'█' * round(p * 30)}" for digit, p in enumerate(probabilities)]
    facts += ["", f"verdict: {verdict} ({mark})"]
    for number in range(max(len(rows), len(facts))):
        picture = rows[number] if number < len(rows) else ""
        fact = facts[number] if number < len(facts) else ""
        say(f"{picture:<58}{fact}")
    say("")


def farewell() -> None:
    """Say how to repeat it with curl, how to go on, how to stop."""
    digit = WORK / "mnist.json"
    digit.write_text(body_of(json.loads(CHOSEN.read_text())[0]["image"]))
    curl = stagezero("predict", "mnist", "--data", f"@{digit}", "--curl").strip()
    state = os.environ["STAGEZERO_STATE"]
    say(f"\nThe same with curl:\n  {curl}")
    command = f"{STAGEZERO.relative_to(ROOT) if STAGEZERO.is_relative_to(ROOT) else STAGEZERO}"
    if shutil.which("kubectl"):
        say(f"\nGo on:\n  export KUBECONFIG={state}/kubeconfig\n  kubectl get isvc,ksvc,pods")
    else:
        say(f"\nGo on (without kubectl):\n  {command} get isvc --state {state}")
    say(f"  {command} status --state {state}\n  {command} --help")
    say(f"\nStop:\n  {command} down --state {state}")


if __name__ == "__main__":
    sys.exit(main())
