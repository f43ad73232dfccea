document.body.textContent = "RatOS.Flash";
