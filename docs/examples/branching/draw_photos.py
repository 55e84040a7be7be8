"""Draw twenty pictures into photos/, in place of photographs of your own: each has other bytes, that is all."""

from pathlib import Path

from PIL import Image

KINDS = {"cat": 6, "kitten": 3, "van": 5, "party": 3, "sign": 3}

folder = Path("photos")
folder.mkdir(exist_ok=True)
for kind, count in KINDS.items():
    for number in range(1, count + 1):
        name = f"{kind}-{number}.jpg"
        hue = (sum(name.encode()) * 37 % 256, number * 40 % 256, len(kind) * 30 % 256)
        Image.new("RGB", (320, 240), hue).save(folder / name, comment=name)
print(f"{sum(KINDS.values())} pictures in {folder}/")
