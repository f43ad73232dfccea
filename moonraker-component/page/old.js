// Runs in every browser, and says why the page stays empty: a browser that does not know its syntax, or a file that did not arrive.
(function () {
  /** @param {string} text */
  function say(text) {
    var start = document.getElementById('start');
    if (start) {
      start.className = 'notice bad';
      start.textContent = text;
    }
  }
  var remedy = ' Until then, use the macros FLASH_MCU and FLASH_STATUS.';
  if (!('noModule' in document.createElement('script'))) {
    document.addEventListener('DOMContentLoaded', function () { say('This page needs a browser of 2020 or later.' + remedy); });
  }
  window.addEventListener('error', function (event) {
    var isFile = event.target && event.target !== window;
    say(isFile ? 'A file of this page could not be loaded. Reload the page; if that does not help, restart Moonraker.'
      : 'This page needs a browser of 2020 or later (' + event.message + ').' + remedy);
  }, true);
})();
